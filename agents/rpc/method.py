"""What an RPC method is: its models, and who may call it how often. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict

from agents.roles import Role

MethodName = Literal[
    "agent.status",
    "agents.start",
    "agents.stop",
    "approval.list",
    "approval.resolve",
    "tools.call",
    "tools.list",
    "transcript.correct",
    "transcript.history",
]


class Part(BaseModel):
    """A part of a message. A key that it does not know is refused."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        # What we send leaves out nothing, and its schema says so.
        json_schema_serialization_defaults_required=True,
    )


class Message(Part):
    """A request or a reply; another version is refused."""

    version: Literal[1] = 1


Req = TypeVar("Req", bound=Message)
Rep = TypeVar("Rep", bound=Message)


@dataclass(frozen=True, slots=True)
class Rate:
    """How often one caller may call: ``burst`` calls at once, then ``per_second``."""

    burst: int
    per_second: float


@dataclass(frozen=True, slots=True)
class RpcMethod(Generic[Req, Rep]):
    """One method that the agent answers.

    Args:
        name: What LiveKit knows it by.
        request: Model of the payload; an empty payload takes the defaults.
        reply: Model of the answer.
        least: The least role that may call it, where the room's metadata does not say.
        agents: Whether agents may call it too.
        rate: How often one caller may call it.
        description: One sentence for the documentation.
        floor: The room's metadata may not let a lesser role call it.
        topic: Of the text stream that carries a reply too long for a hidden agent.
    """

    name: MethodName
    request: type[Req]
    reply: type[Rep]
    least: Role
    agents: bool
    rate: Rate
    description: str
    floor: Role = Role.STRANGER
    topic: str = "greffier.rpc"

    def admits(self, role: Role, asked: Role | None) -> bool:
        """Tell whether a caller of ``role`` may call it.

        Args:
            role: The caller's.
            asked: The least role that the room's metadata asks for, if it does.
        """
        if not role.is_person:
            return self.agents
        return role.reaches(asked or self.least) and role.reaches(self.floor)
