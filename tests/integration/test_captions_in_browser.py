"""What people's browsers make of our captions: livekit-client and LiveKit's own React hook.

An installed worker publishes what a script says, in every format; the truth is that script and what
the store has. One page in a headless browser is all the clients: see ``tests/node/captions``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import pytest

from bench.child_process import ROOT
from bench.installed_worker import InstalledWorker, make_environment
from bench.livekit_server import LiveKitServer
from bench.rooms import Rooms, dispatch_to
from pipelines.transcript.line import Line
from pipelines.transcript.stores.files import FilesStore
from tests.integration.browser_pages import BrowserPages

Turn = dict[str, Any]

TURNS: Final[list[Turn]] = [
    {"identity": "ada", "texts": ["Bon", "Bonjour à", "Bonjour à tous."]},
    {"identity": "bob", "texts": ["Hello", "Hello ever", "Hello everybody 🎉"]},
    {"identity": "ada", "texts": ["I sc", "I scream"], "then": "Ice cream."},
    {"identity": "bob", "texts": ["uh", "uh huh"], "then": ""},
]
BULK: Final = 1_000
LAST: Final[list[Turn]] = [
    {"identity": who, "texts": ["And", "And fin", f"And finally, {who} again."], "pause": 4.0}
    for who in ("ada", "bob", "ada", "bob")
]
FINALS: Final = len(TURNS) + 2 + BULK + len(LAST)  # With a correction and a withdrawal.
SEGMENTS: Final = FINALS - 3  # The corrected one is one, the withdrawn one none.


class Page:
    """The one page on which everybody is; its functions are called by name."""

    def __init__(self, pages: BrowserPages) -> None:
        self._pages = pages

    def call(self, name: str, *arguments: Any) -> Any:
        return self._pages.call("page", name, *arguments)


@dataclass(frozen=True)
class Shown:
    """What was shown in one meeting, and what the store has of it.

    ``reader`` and ``hook`` were there from the start. ``late`` came after the thousandth segment
    and while the last ones were being said; ``history`` are the figures of its question.
    ``newest`` is what our own module had, of a moderator who came then too, and ``corrected`` what
    it had after they corrected the first segment.
    """

    kept: list[Line]
    agent: str
    reader: dict[str, Any]
    hook: dict[str, Any]
    late: dict[str, Any]
    history: dict[str, Any]
    newest: list[dict[str, Any]]
    corrected: list[dict[str, Any]]

    def latest(self) -> list[dict[str, Any]]:
        """Return the segments as they read in the end, in order of keeping."""
        segments = {line.data["segment"]: line.data for line in self.kept}
        return [
            {"segment": segment, "speaker": data["speaker"], "text": data["text"]}
            for segment, data in segments.items()
            if data["text"]
        ]

    def first(self) -> list[dict[str, Any]]:
        """Return the finals that were no correction, in order of keeping."""
        return [line.data for line in self.kept if line.data["revision"] == 0]


@pytest.fixture(scope="module")
def page(node: str, browser: str, client_module: Path) -> Iterator[Page]:  # noqa: ARG001 - built before
    with ExitStack() as stack:
        pages = BrowserPages(node, browser, "captions/page.jsx")
        stack.callback(pages.close)
        yield Page(pages)


@pytest.fixture(scope="module")
def workers(livekit: LiveKitServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Two workers, ``visible`` and ``hidden``; yields the directory of their data."""
    pytest.importorskip("hatchling", reason="builds the packages: requirements-build.txt")
    directory = tmp_path_factory.mktemp("captions")
    environment = make_environment(directory / "environment", ROOT / "tests" / "scripted")
    settings = {
        "GREFFIER_CAPTION_FORMATS": "text-stream,legacy,meetai",
        "GREFFIER_INTERIM_INTERVAL_MS": "50",
        "GREFFIER_ENGINE_PLUGINS": "echo=pipelines.testing:EchoSTT",
        "GREFFIER_DEPARTURE_TIMEOUT": "1",
    }
    with ExitStack() as stack:
        started = []
        for name in ("visible", "hidden"):
            env = {
                **livekit.env(),
                **settings,
                "GREFFIER_AGENT_NAME": name,
                "GREFFIER_HIDDEN": str(name == "hidden").lower(),
                "GREFFIER_DATA_DIR": str(directory / name),
            }
            worker = InstalledWorker(environment, env, log=directory / f"{name}.log", name=name)
            started.append(stack.enter_context(worker))
        for worker in started:
            worker.wait_until_registered()
        yield directory


@pytest.fixture(scope="module", params=["visible", "hidden"])
def shown(
    request: pytest.FixtureRequest, livekit: LiveKitServer, workers: Path, page: Page
) -> Shown:
    """Hold a meeting: turns with interims, a thousand finals, somebody who comes late."""
    name = request.param
    room = f"captions-{name}"
    rooms = Rooms(livekit.url, livekit.api_key, livekit.api_secret)
    agents = {"scripted": True, "transcriber": {"engine": "echo"}}
    metadata = {"meetingData": {"id": room}, "agents": agents, "roles": {"newest": "moderator"}}
    asyncio.run(open_room(rooms, room, name, metadata))

    def join(who: str, kind: str = "client") -> None:
        page.call("join", who, rooms.url, rooms.token(room, who, name=who.title()), kind)

    def say(**order: Any) -> None:
        page.call("send", "ada", "scripted.say", order)

    for who in ("ada", "bob", "reader"):
        join(who)
    join("hook", "hook")
    page.call("until", "reader", "heard", 1, "scripted")
    say(turns=TURNS)
    page.call("until", "reader", "finals", len(TURNS) + 2)
    page.call("until", "hook", "finals", len(TURNS))
    hook = page.call("state", "hook")
    say(bulk=BULK, identities=["ada", "bob"])
    page.call("until", "reader", "finals", len(TURNS) + 2 + BULK)

    say(turns=LAST)
    page.call("until", "reader", "interims", len(LAST))
    join("late")
    join("newest", "greffier")
    history = page.call("load", "late", 500)
    page.call("until", "reader", "finals", FINALS)
    for who in ("late", "newest"):
        page.call("until", who, "segments", SEGMENTS)
    print(f"\n{name}: late joiner, {history}")  # noqa: T201 - a figure
    reader, late, newest = [page.call("state", who) for who in ("reader", "late", "newest")]
    page.call("correct", "newest", newest[0]["segment"], "Iced cream.")
    page.call("until", "newest", "corrected", 1)
    shown = Shown(
        kept=asyncio.run(kept(workers / name / "transcripts", room)),
        agent=f"{name}-{room}",
        reader=reader,
        hook=hook,
        late=late,
        history=history,
        newest=newest,
        corrected=page.call("state", "newest"),
    )
    page.call("leave", "ada", "bob", "reader", "hook", "late", "newest")
    return shown


async def open_room(rooms: Rooms, room: str, agent: str, metadata: dict[str, Any]) -> None:
    async with rooms:
        await rooms.create(room, metadata=metadata, agents=[dispatch_to(agent)])


async def kept(directory: Path, meeting: str) -> list[Line]:
    """Return the finals in the store, when all are there."""
    async with asyncio.timeout(20):
        while True:
            lines = await FilesStore(directory).read(meeting)
            finals = [line for line in lines if line.kind == "final"]
            if len(finals) >= FINALS:
                return finals
            await asyncio.sleep(0.2)


def turn_of(text: str) -> Turn:
    """Return the script's turn in which ``text`` is the final."""
    (turn,) = [turn for turn in TURNS if text in (turn["texts"][-1], turn.get("then"))]
    return turn


def updates_of(segment: str, updates: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [update for update in updates if update["segment"] == segment]


def test_interims_then_the_final_are_shown_in_their_speakers_name(shown: Shown) -> None:
    for data in shown.first()[: len(TURNS)]:
        turn = turn_of(data["text"])
        updates = updates_of(data["segment"], shown.reader["updates"])
        *interims, final = turn["texts"]
        then = [turn["then"]] if "then" in turn else []
        assert [one["text"].strip() for one in updates if one["final"]] == [final, *then]
        seen = [one["text"] for one in updates if not one["final"]]
        assert seen
        assert seen == [text for text in interims if text in seen]
        assert [one["final"] for one in updates] == sorted(one["final"] for one in updates)
        assert {(one["speaker"], one["track"]) for one in updates} == {
            (turn["identity"], f"TR_{turn['identity']}")
        }


def test_every_final_is_shown_once_in_order_as_the_store_has_it(shown: Shown) -> None:
    finals = [one for one in shown.reader["updates"] if one["final"]]
    assert [(one["segment"], one["speaker"], one["text"].strip()) for one in finals] == [
        (line.data["segment"], line.data["speaker"], line.data["text"]) for line in shown.kept
    ]


def test_use_transcriptions_renders_interims_then_the_final_in_their_speakers_name(
    shown: Shown,
) -> None:
    for data in shown.first()[: len(TURNS)]:
        turn = turn_of(data["text"])
        rendered = updates_of(data["segment"], shown.hook["renderings"])
        assert {one["speaker"] for one in rendered} == {turn["identity"]}
        assert any(not one["final"] for one in rendered)
        (last,) = updates_of(data["segment"], shown.hook["shown"])
        assert last == rendered[-1]
        assert last["final"]
        assert last["text"].strip() == turn.get("then", data["text"])


def test_la_suite_meets_page_has_the_whole_text_row_by_row(shown: Shown) -> None:
    said = groupby(shown.first(), key=lambda data: data["speaker"])
    rows = [{"speaker": who, "texts": [data["text"] for data in turn]} for who, turn in said]
    assert shown.reader["rows"] == rows


def test_a_legacy_packet_tells_language_and_time_of_its_segment(shown: Shown) -> None:
    packets = [packet for (packet,) in shown.reader["legacy"]]
    assert packets == [
        {
            "id": data["segment"],
            "startTime": data["start_ms"],
            "endTime": data["end_ms"],
            "language": "fr",
        }
        for data in shown.first()
    ]


def test_meetai_packets_come_in_order_of_the_stored_index(shown: Shown) -> None:
    packets = [one for one in shown.reader["packets"] if one["type"] == "transcript_update"]
    assert [(one["index"], one["role"], one["speaker"], one["text"]) for one in packets] == [
        (data["index"], "human", data["speaker"].title(), data["text"])
        for data in (line.data for line in shown.kept)
        if data["text"]
    ]
    indices = [one["index"] for one in packets]
    assert indices == sorted(set(indices))


def test_who_comes_after_a_thousand_segments_has_them_all(shown: Shown) -> None:
    assert shown.late["segments"] == shown.latest()
    assert shown.history["segments"] >= BULK
    assert shown.history["pages"] > 1


def test_our_module_has_what_was_said_before_and_since_it_came(shown: Shown) -> None:
    had = [{key: one[key] for key in ("segment", "speaker", "text")} for one in shown.newest]
    assert [{**one, "text": one["text"].strip()} for one in had] == shown.latest()


def test_our_module_shows_a_correction_as_its_authors(shown: Shown) -> None:
    first, *others = shown.corrected
    assert (first["text"], first["speaker"]) == ("Iced cream.", "ada")
    assert (first["correction"]["by"], first["correction"]["name"]) == ("newest", "Newest")
    assert others == shown.newest[1:]


def test_who_comes_while_somebody_speaks_is_told_the_interims_of_the_moment(shown: Shown) -> None:
    assert shown.history["interims"] == len(LAST)
    assert shown.late["interims"] == []  # Each became a final, and that came live.


def test_who_joins_learns_the_agents_identity_from_its_greeting(shown: Shown) -> None:
    listed = shown.agent in [other["identity"] for other in shown.late["others"]]
    assert listed == shown.agent.startswith("visible")
    assert {notice["agent"] for notice in shown.late["notices"]} == {shown.agent}
