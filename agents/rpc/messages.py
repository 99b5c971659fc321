"""Every request and every reply of our RPC methods."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, JsonValue

from agents.roles import Role
from agents.rpc.method import Message, MethodName, Part
from agents.tools.effects import Effects

Identity = Annotated[str, Field(max_length=256)]
Text = Annotated[str, Field(min_length=1, max_length=5000)]
Time = Annotated[str, Field(description="UTC, ISO 8601 with milliseconds.")]
ToolName = Annotated[str, Field(min_length=1, max_length=128)]
Arguments = Annotated[dict[str, JsonValue], Field(description="As the tool's schema says.")]


class Streamed(Message):
    """The answer of a hidden agent whose reply is too long: it comes as a text stream."""

    stream: str = Field(description="Value of the stream's attribute `greffier.request`.")


class StatusRequest(Message):
    """Payload of ``agent.status``."""


AgentStateName = Literal["running", "off", "failed"]


class AgentState(Part):
    """One agent of the worker, such as the transcriber."""

    name: str
    description: str
    state: AgentStateName


class You(Part):
    """Who the caller is to the agent."""

    identity: str
    role: Role
    may_call: list[MethodName] = Field(description="Methods that the caller's role may call.")


class StatusReply(Message):
    """Answer of ``agent.status``."""

    meeting: str
    room: str
    epoch: int = Field(description="Grows with every job that serves the meeting.")
    started_at: Time
    language: str
    durable: bool = Field(description="False while what is said is in no journal.")
    kept: bool = Field(description="False where nothing of this meeting is kept.")
    agents: list[AgentState]
    you: You


class AgentRequest(Message):
    """Payload of ``agents.start`` and ``agents.stop``."""

    agent: Annotated[str, Field(min_length=1, max_length=64)] = Field(
        description="Name as in the room's metadata under `agents`."
    )


class AgentsReply(Message):
    """Answer of ``agents.start`` and ``agents.stop``."""

    agents: list[AgentState]


class After(Part):
    """The last line that the reader has."""

    epoch: int = Field(ge=0)
    sequence: int = Field(ge=0)


class HistoryRequest(Message):
    """Payload of ``transcript.history``."""

    after: After | None = Field(default=None, description="`next` of the page before.")
    limit: int = Field(default=500, ge=1, le=1000, description="Most segments in the page.")


class Corrector(Part):
    """Who corrected a segment."""

    identity: str
    name: str


class HistoryCorrection(Part):
    """That a person, not a machine, said how a segment reads."""

    by: Corrector
    at: Time
    original: str = Field(description="What the machine had settled.")


class HistorySegment(Part):
    """A final caption, as it reads now; of several with one ``segment`` the later one counts.

    A segment comes again in the place of its correction, and of a new revision by the machine.
    """

    epoch: int
    sequence: int
    segment: str
    revision: int
    speaker: str
    name: str
    text: str
    start_ms: int
    end_ms: int
    track: str
    language: str
    start: Time
    correction: HistoryCorrection | None = Field(
        default=None, description="Who corrected the text; null where nobody did."
    )


class HistoryHole(Part):
    """Speech that may be missing."""

    epoch: int
    sequence: int
    start_ms: int
    end_ms: int
    cause: str
    speakers: list[str]
    reason: str
    start: Time


class HistoryInterim(Part):
    """What is being said at the moment."""

    segment: str
    speaker: str
    name: str
    text: str
    start: Time
    track: str


class HistoryReply(Message):
    """Answer of ``transcript.history``: a page."""

    meeting: str
    segments: list[HistorySegment]
    holes: list[HistoryHole]
    next: After | None = Field(description="Ask again after it; null on the last page.")
    interims: list[HistoryInterim] = Field(description="With the last page only.")


class CorrectRequest(Message):
    """Payload of ``transcript.correct``."""

    segment: Annotated[str, Field(min_length=1, max_length=64)] = Field(
        description="Id of the segment, as captions and history tell it."
    )
    text: Text = Field(description="What was said.")


class CorrectReply(Message):
    """Answer of ``transcript.correct``: the correction as it is kept."""

    segment: str
    text: str
    by: str
    name: str
    at: Time


ApprovalState = Literal[
    "requested",
    "shown",
    "approved",
    "modified",
    "rejected",
    "expired",
    "withdrawn",
    "started",
    "done",
    "failed",
    "unknown",
    "settled",
]


class Approval(Part):
    """What somebody is asked to approve."""

    id: str
    state: ApprovalState
    tool: str
    title: str
    description: str
    arguments: Arguments
    arguments_schema: dict[str, Any] = Field(
        description="JSON Schema of `arguments`; empty for whom it is not put to."
    )
    effects: Effects
    asked_by: str = Field(
        description="Identity of a participant, or `agent:` and the name of an agent."
    )
    to: str = Field(description="Identity of the person who decides.")
    name: str = Field(description="Display name of that person.")
    reason: str = Field(default="", description="Why it is asked, or why it ended as it did.")
    requested_at: Time
    expires_at: Time | None = Field(default=None, description="Null until it is shown.")
    result: JsonValue = None


class ApprovalListRequest(Message):
    """Payload of ``approval.list``."""

    open_only: bool = Field(default=True, description="Only those that wait for a decision.")


class ApprovalListReply(Message):
    """Answer of ``approval.list``: one's own; a moderator and an owner see all."""

    approvals: list[Approval]


class ResolveRequest(Message):
    """Payload of ``approval.resolve``."""

    id: Annotated[str, Field(min_length=1, max_length=64)]
    decision: Literal["approve", "reject", "modify", "happened", "did_not_happen"] = Field(
        description="The last two settle an approval whose outcome is `unknown`."
    )
    arguments: Arguments | None = Field(default=None, description="With `modify` only.")
    reason: Annotated[str, Field(max_length=500)] = ""


class ResolveReply(Message):
    """Answer of ``approval.resolve``."""

    id: str
    state: ApprovalState


class ShowRequest(Message):
    """Payload of ``approval.show``, which the agent calls on the addressee's browser."""

    approval: Approval


class ShowReply(Message):
    """Answer of ``approval.show``, at once: the dialog is open or waits its turn."""

    seen: bool = True


class ToolsListRequest(Message):
    """Payload of ``tools.list``."""


class ToolInfo(Part):
    """A tool that may be called."""

    name: str
    title: str
    description: str
    effects: Effects
    arguments_schema: dict[str, Any] = Field(description="JSON Schema of its arguments.")


class ToolsListReply(Message):
    """Answer of ``tools.list``."""

    tools: list[ToolInfo]


class ToolsCallTarget(Part):
    """One of several people who are asked, each for something of their own."""

    to: Identity = Field(description="Identity or name.")
    arguments: Arguments


class ToolsCallRequest(Message):
    """Payload of ``tools.call``."""

    tool: ToolName
    arguments: Arguments = Field(default_factory=dict)
    to: list[Identity] = Field(
        default_factory=list,
        max_length=20,
        description="Who approves, by identity or name; the caller, where nobody is named.",
    )
    targets: list[ToolsCallTarget] = Field(
        default_factory=list,
        max_length=20,
        description="More of them, each with arguments of their own.",
    )
    reason: Annotated[str, Field(max_length=500)] = ""


class ToolsCallReply(Message):
    """Answer of ``tools.call``: at once; what comes of approvals is told by notices."""

    state: Literal["done", "pending", "refused"]
    result: JsonValue = None
    approvals: list[str] = Field(default_factory=list, description="Ids, where `pending`.")
    reason: str = ""
