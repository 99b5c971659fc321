"""The whole thing on this machine: a server, the worker, a meeting, its captions, its transcript.

Everything is real: livekit-server, WebRTC, the worker as an operator starts it, and the clients in
processes of their own. Everything listens on loopback. `make demo` runs it.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import tempfile
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from bench.caption_screen import CaptionScreen
from bench.child_process import ChildError
from bench.client_processes import PublisherProcess, SubscriberProcess
from bench.content_words import recall
from bench.json_lines import LineReader
from bench.livekit_binary import LiveKitMissingError, ensure_livekit_server
from bench.livekit_server import LiveKitServer
from bench.publisher import NOBODY_LISTENS
from bench.rooms import Rooms, dispatch_to
from bench.script import Script, ScriptError, load_script, script_of_directory
from bench.sealed_transcript import SealedTranscript, wait_for_seal
from bench.worker_process import WorkerProcess

ROOM = "demo"
AGENT = "greffier"

_LISTEN_TIMEOUT = 30.0  # seconds for the agent to come and listen
_LINGER = 4.0  # seconds that people stay after the last word
_QUIET = 2.0  # seconds without a caption after which the last one has come
_QUIET_TIMEOUT = 15.0  # seconds to wait for that: somebody may go on talking
_DEPARTURE = 2.0  # seconds without people after which the agent leaves and seals
_SEAL_TIMEOUT = 60.0  # seconds

_INTERRUPTED = 130  # exit status, as a shell has it for Ctrl-C


class DemoError(RuntimeError):
    """The meeting was held and nothing came of it."""


@dataclass(frozen=True, slots=True)
class Demo:
    """One run.

    Args:
        script: Who says what.
        audio: Directory of the caller's files, or None for the scripted meeting.
        out: Directory for the transcript; logs go to ``logs`` in it.
        once: End the meeting when everything is said; else stay until Ctrl-C.
        console: Takes what is printed.
    """

    script: Script
    audio: Path | None
    out: Path
    once: bool
    console: Console

    @property
    def logs(self) -> Path:
        """Directory of each process's output, of what was said and of what was received."""
        return self.out / "logs"

    def run(self) -> SealedTranscript:
        """Go from nothing to the files; on the way out, stop every process that was started.

        Raises:
            ChildError: A process failed.
            LiveKitMissingError: There is no livekit-server and it can't be built.
            KeyboardInterrupt: Ctrl-C before the meeting could be ended in good order.
        """
        self._remove_last_run()
        with ExitStack() as stack:
            try:
                return self._run(stack)
            finally:  # a second Ctrl-C would leave some of the processes behind
                signal.signal(signal.SIGINT, signal.SIG_IGN)

    def _run(self, stack: ExitStack) -> SealedTranscript:
        data = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="greffier-demo-")))
        binary = ensure_livekit_server(self._say)
        self._say("Starting livekit-server and the worker")
        server = stack.enter_context(LiveKitServer(self.logs, binary=binary))
        rooms = Rooms(server.url, server.api_key, server.api_secret)
        worker = stack.enter_context(self._worker(server, data))
        worker.wait_until_registered()
        asyncio.run(_open_room(rooms))
        reader = SubscriberProcess(server.env(), ROOM, directory=self.logs, name="reader")
        stack.enter_context(reader)
        reader.wait_until_joined()
        people = stack.enter_context(self._people(server))
        self._say(f"{', '.join(one.name for one in self.script.speakers)} join the room")
        with CaptionScreen(self.console, LineReader(reader.log_lines)) as screen:
            screen.follow(until=lambda: not people.running)
            if people.returncode == NOBODY_LISTENS:
                raise worker.error(f"did not come to listen in {_LISTEN_TIMEOUT:g} s")
            if people.returncode != 0:
                raise people.error(f"ended with status {people.returncode}")
            if not self.once:
                self._invite(rooms)
                with suppress(KeyboardInterrupt):
                    screen.follow(until=lambda: not (reader.running and worker.running))
            deadline = time.monotonic() + _QUIET_TIMEOUT
            screen.follow(until=lambda: screen.quiet > _QUIET or time.monotonic() > deadline)
        reader.stop()
        self._say("Everybody has left; waiting for the transcript")
        try:
            sealed = wait_for_seal(data / "transcripts", timeout=_SEAL_TIMEOUT)
        except TimeoutError:
            raise worker.error(f"did not seal the meeting in {_SEAL_TIMEOUT:g} s") from None
        return sealed.copy_to(self.out)

    def _worker(self, server: LiveKitServer, data: Path) -> WorkerProcess:
        # Where LiveKit is, and where to keep what it hears: nothing of the script.
        settings = {
            "GREFFIER_AGENT_NAME": AGENT,
            "GREFFIER_DATA_DIR": str(data),
            "GREFFIER_DEPARTURE_TIMEOUT": str(_DEPARTURE),
        }
        return WorkerProcess({**server.env(), **settings}, log=self.logs / "worker.log")

    def _people(self, server: LiveKitServer) -> PublisherProcess:
        options = ["--wait-subscribed", str(_LISTEN_TIMEOUT), "--linger", str(_LINGER)]
        if self.audio:
            options += ["--audio", str(self.audio.resolve())]
        return PublisherProcess(server.env(), ROOM, *options, directory=self.logs, name="people")

    def _invite(self, rooms: Rooms) -> None:
        self._say("The room stays open; Ctrl-C ends the meeting. To join it, on this machine:")
        self._say(f"  server  {rooms.url}")
        self._say(f"  token   {rooms.token(ROOM, 'guest', name='Guest')}")

    def _say(self, line: str) -> None:
        self.console.print(line, style="dim", markup=False, highlight=False, soft_wrap=True)

    def _remove_last_run(self) -> None:
        for pattern in ("transcript.*", "logs/*.log", "logs/*.jsonl"):
            for file in self.out.glob(pattern):
                file.unlink()


async def _open_room(rooms: Rooms) -> None:
    metadata = {"agents": {"transcriber": True, "metadata": True}}
    async with rooms:
        await rooms.create(ROOM, metadata=metadata, agents=[dispatch_to(AGENT)])


def report(sealed: SealedTranscript, script: Script, console: Console) -> None:
    """Print where the files are, who spoke, and how much of a script's words were found.

    Raises:
        DemoError: The script has words and the transcript has none.
    """
    for file in sealed.files:
        console.print(str(file), markup=False, highlight=False, soft_wrap=True)
    console.print(f"Speakers: {', '.join(sealed.speakers()) or 'none'}", markup=False)
    names = {speaker.identity: speaker.name for speaker in script.speakers}
    said = [(names[line.identity], line.text) for line in script.utterances if line.text]
    if said:
        found = recall(said, sealed.said())
        if not found.found:
            raise DemoError(f"nothing was understood; see {sealed.directory / 'logs'}")
        console.print(f"Content words found: {found.found} of {found.said} ({found.share:.0%})")


def demo(
    *,
    once: Annotated[bool, typer.Option("--once", help="End when everything is said.")] = False,
    audio: Annotated[
        Path | None,
        typer.Option(help="Directory of audio files, one speaker each, named after the file."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Directory for the transcript.")] = Path("out/demo"),
) -> None:
    """Play a meeting to a real LiveKit server and our worker, and show its captions."""
    console = Console()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        script = script_of_directory(audio) if audio else load_script()
        run = Demo(script=script, audio=audio, out=out, once=once, console=console)
        report(run.run(), script, console)
    except (ChildError, DemoError, LiveKitMissingError, ScriptError) as error:
        print(f"demo: {error}", file=sys.stderr)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        print("demo: interrupted", file=sys.stderr)
        raise typer.Exit(_INTERRUPTED) from None


if __name__ == "__main__":
    typer.run(demo)
