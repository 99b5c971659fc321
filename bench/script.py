"""Who says what, when: the scripted meeting in ``bench/speech``, or a directory of audio files."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

SCRIPTED_MEETING = Path(__file__).parent / "speech" / "script.json"

_AUDIO = {".aac", ".flac", ".m4a", ".mp3", ".oga", ".ogg", ".opus", ".wav", ".webm"}


class ScriptError(ValueError):
    """A script or a directory of audio can't be played; the message says why."""


@dataclass(frozen=True, slots=True)
class Speaker:
    """Somebody in the room: LiveKit identity and display name."""

    identity: str
    name: str


@dataclass(frozen=True, slots=True)
class Utterance:
    """One file, played by one speaker.

    Args:
        at: Seconds from the start of the meeting.
        identity: The speaker's.
        file: Any audio file.
        text: The words, or empty where nobody wrote them down.
    """

    at: float
    identity: str
    file: Path
    text: str = ""


@dataclass(frozen=True, slots=True)
class Script:
    """A whole meeting; utterances in order of time, of different speakers also at once."""

    speakers: tuple[Speaker, ...]
    utterances: tuple[Utterance, ...]

    def of(self, identity: str) -> tuple[Utterance, ...]:
        """Return what one speaker says."""
        return tuple(line for line in self.utterances if line.identity == identity)


def load_script(path: Path = SCRIPTED_MEETING) -> Script:
    """Read a script; its files are relative to it.

    Raises:
        ScriptError: A speaker or file is not there.
    """
    fields = json.loads(path.read_text(encoding="utf-8"))
    speakers = tuple(Speaker(one["identity"], one["name"]) for one in fields["speakers"])
    utterances = tuple(
        Utterance(line["at"], line["identity"], path.parent / line["file"], line["text"])
        for line in sorted(fields["utterances"], key=lambda line: float(line["at"]))
    )
    known = {speaker.identity for speaker in speakers}
    for line in utterances:
        if line.identity not in known:
            raise ScriptError(f"{path}: no speaker {line.identity!r}")
        if not line.file.is_file():
            raise ScriptError(f"{path}: no file {line.file.name!r}")
    return Script(speakers, utterances)


def script_of_directory(directory: Path) -> Script:
    """Make a meeting of the audio files in ``directory``: all start at once, one speaker each.

    The display name is the file's name without its ending, ``_`` read as a space.

    Raises:
        ScriptError: There is no audio file in it.
    """
    if not directory.is_dir():
        raise ScriptError(f"{directory} is no directory")
    files = sorted(file for file in directory.iterdir() if file.suffix.lower() in _AUDIO)
    if not files:
        raise ScriptError(f"no audio file in {directory} (of {', '.join(sorted(_AUDIO))})")
    speakers: list[Speaker] = []
    for number, file in enumerate(files, start=1):
        name = file.stem.replace("_", " ").strip() or f"Speaker {number}"
        slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
        speakers.append(Speaker(f"{slug or 'speaker'}-{number}", name))
    return Script(
        tuple(speakers),
        tuple(
            Utterance(0.0, speaker.identity, file)
            for speaker, file in zip(speakers, files, strict=True)
        ),
    )
