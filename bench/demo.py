"""The whole thing on this machine: a server, the worker, a meeting, its captions, its transcript.

Everything is real: livekit-server, WebRTC, the worker as an operator starts it, and the clients in
processes of their own. Everything listens on loopback. `make demo` runs it.
"""

from __future__ import annotations

import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from bench.caption_delay import caption_delays
from bench.caption_screen import CaptionScreen
from bench.child_process import ChildError
from bench.client_processes import NOBODY_LISTENS, PublisherProcess, SubscriberProcess
from bench.content_words import recall
from bench.go_program import ProgramMissingError
from bench.json_lines import LineReader
from bench.script import Script, ScriptError, load_script, script_of_directory
from bench.sealed_transcript import SealedTranscript, wait_for_seal
from bench.stage import LISTEN_TIMEOUT, Stage, set_up

_LINGER = 4.0  # seconds that people stay after the last word
_QUIET = 1.0  # seconds without a caption after which a guest's last one has come
_CAPTION_TIMEOUT = 20.0  # seconds for the last captions: not everything that is heard is speech
_SEAL_TIMEOUT = 60.0  # seconds
_MINUTES_TIMEOUT = 60.0  # seconds

_INTERRUPTED = 130  # exit status, as a shell has it for Ctrl-C


class DemoError(RuntimeError):
    """The meeting was held and nothing came of it."""


def hold_meeting(
    stage: Stage, script: Script, audio: Path | None, *, once: bool, console: Console
) -> SealedTranscript:
    """Play the script, show the captions, end the meeting, wait for transcript and minutes.

    Args:
        stage: Where.
        script: Who speaks.
        audio: Directory of the caller's files, or None for the scripted meeting.
        once: End the meeting when everything is said; else stay until Ctrl-C.
        console: Takes what is printed.

    Raises:
        ChildError: A process failed.
        KeyboardInterrupt: Ctrl-C before the meeting could be ended in good order.
    """
    own = ["--audio", str(audio.resolve())] if audio else []
    received = LineReader(stage.reader.log_lines)
    with (
        stage.people("--linger", str(_LINGER), *own) as people,
        CaptionScreen(console, received) as screen,
    ):
        screen.say(f"{', '.join(one.name for one in script.speakers)} join the room")
        screen.follow(until=lambda: not people.running)
        if people.returncode == NOBODY_LISTENS:
            raise stage.worker.error(f"did not come to listen in {LISTEN_TIMEOUT:g} s")
        if people.returncode != 0:
            raise people.error(f"ended with status {people.returncode}")
        if not once:
            screen.say("The room stays open; Ctrl-C ends the meeting. To join, on this machine:")
            screen.say(f"  server  {stage.rooms.url}")
            screen.say(f"  token   {stage.rooms.token(stage.room, 'guest', name='Guest')}")
            with suppress(KeyboardInterrupt):
                screen.follow(until=lambda: not (stage.reader.running and stage.worker.running))
        deadline = time.monotonic() + _CAPTION_TIMEOUT
        screen.follow(
            until=lambda: (
                time.monotonic() > deadline
                or (screen.quiet > _QUIET and _last_words_came(people, stage.reader))
            )
        )
        stage.reader.stop()
        screen.say("Everybody has left; waiting for the transcript and the minutes")
    try:
        sealed = wait_for_seal(stage.transcripts, timeout=_SEAL_TIMEOUT)
        return sealed.wait_for_minutes(timeout=_MINUTES_TIMEOUT)
    except TimeoutError as error:
        raise stage.worker.error(f"did not end the meeting: {error}") from None


def _last_words_came(people: PublisherProcess, reader: SubscriberProcess) -> bool:
    """Tell whether the last utterance of everybody who spoke has its final caption."""
    delays = caption_delays(people.truth(), reader.received())
    last = {one.identity: one.final for one in delays}
    return None not in last.values()


def report(sealed: SealedTranscript, script: Script, console: Console) -> None:
    """Print the files, who spoke, how much of a script's words were found, and the summary.

    Raises:
        DemoError: The script has words and the transcript has none of them.
    """
    for file in (*sealed.files, *sealed.minutes):
        console.print(str(file), markup=False, highlight=False, soft_wrap=True)
    console.print(f"Speakers: {', '.join(sealed.speakers()) or 'none'}", markup=False)
    names = {speaker.identity: speaker.name for speaker in script.speakers}
    said = [(names[line.identity], line.text) for line in script.utterances if line.text]
    if said:
        found = recall(said, sealed.said())
        if not found.found:
            raise DemoError(f"nothing was understood; see {sealed.directory / 'logs'}")
        console.print(f"Content words found: {found.found} of {found.said} ({found.share:.0%})")
    summary = (sealed.directory / "summary.md").read_text(encoding="utf-8")
    console.print(summary, markup=False, highlight=False, soft_wrap=True)


def demo(
    *,
    once: Annotated[bool, typer.Option("--once", help="End when everything is said.")] = False,
    audio: Annotated[
        Path | None,
        typer.Option(help="Directory of audio files, one speaker each, named after the file."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Directory for transcript and logs.")] = Path(
        "out/demo"
    ),
) -> None:
    """Play a meeting to a real LiveKit server and our worker, and show its captions."""
    console = Console()
    for stop in (signal.SIGINT, signal.SIGTERM):
        signal.signal(stop, signal.default_int_handler)
    try:
        script = script_of_directory(audio) if audio else load_script()
        earlier = SealedTranscript(out)
        for old in (*earlier.files, *earlier.minutes):
            old.unlink(missing_ok=True)
        with set_up(
            out / "logs", room="demo", say=lambda line: console.print(line, style="dim")
        ) as stage:
            try:
                sealed = hold_meeting(stage, script, audio, once=once, console=console).copy_to(out)
            finally:  # a second Ctrl-C would leave some of the processes behind
                signal.signal(signal.SIGINT, signal.SIG_IGN)
        report(sealed, script, console)
    except (ChildError, DemoError, ProgramMissingError, ScriptError) as error:
        print(f"demo: {error}", file=sys.stderr)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        print("demo: interrupted", file=sys.stderr)
        raise typer.Exit(_INTERRUPTED) from None


if __name__ == "__main__":
    typer.run(demo)
