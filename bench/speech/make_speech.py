"""Speak the scripted meeting with flite: writes the audio files that ``script.json`` names.

Run it after a change of the script, with `flite` (Debian package) on PATH::

    python -m bench.speech.make_speech
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import av
import numpy as np

from bench.audio_file import Samples, read_samples, speech_bounds

_HERE = Path(__file__).parent
_RATE = 48_000  # samples a second
_LEVEL = 0.08  # RMS of the speech, of full scale: -22 dB, as a headset delivers it
_SILENCE = 0.15  # seconds before and after the speech
_BIT_RATE = 24_000


def speak(text: str, voice: str) -> Samples:
    """Return ``text`` spoken by a flite voice: int16 mono at 48 kHz, at an even level."""
    with tempfile.TemporaryDirectory() as directory:
        wav = Path(directory) / "speech.wav"
        subprocess.run(["flite", "-voice", voice, "-t", text, "-o", str(wav)], check=True)
        samples = read_samples(wav, _RATE)
    first, last = speech_bounds(samples, _RATE)
    speech = samples[first:last].astype(np.float64)
    speech *= _LEVEL * 32768 / np.sqrt(np.mean(speech**2))
    silence = np.zeros(round(_SILENCE * _RATE))
    whole: Samples = np.concatenate([silence, speech, silence]).clip(-32768, 32767).astype(np.int16)
    return whole


def write_opus(samples: Samples, path: Path) -> None:
    """Write int16 mono samples at 48 kHz as Ogg Opus."""
    with av.open(str(path), "w", format="ogg") as container:
        stream = container.add_stream("libopus", rate=_RATE, layout="mono")
        stream.bit_rate = _BIT_RATE
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate = _RATE
        for packet in (*stream.encode(frame), *stream.encode(None)):
            container.mux(packet)


def main() -> int:
    """Write every file of the script and print its length."""
    script = json.loads((_HERE / "script.json").read_text(encoding="utf-8"))
    voices = {speaker["identity"]: speaker["voice"] for speaker in script["speakers"]}
    for line in script["utterances"]:
        samples = speak(line["text"], voices[line["identity"]])
        write_opus(samples, _HERE / line["file"])
        seconds = len(samples) / _RATE
        print(f"{line['file']}  {line['at']:5.1f} to {line['at'] + seconds:5.1f} s  {line['text']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
