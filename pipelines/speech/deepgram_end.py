"""When Deepgram has heard all of a stream: LiveKit's plugin tells it up to 5 s late.

livekit-plugins-deepgram 1.8.9 (``SpeechStream._run``): a stream ends once its keep-alive task has
slept its 5 s out, however long ago the server closed the connection; and a connection that broke at
the end looks like one that was closed. Deepgram's own last word is ``Metadata``, after all results.
To check again: without this file, ``test_engine_protocols.py`` takes 5 s for a span.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

_ANSWER: Final = "Results"  # which may be without words
_LAST: Final = "Metadata"


def watch_messages(
    stream: Any, *, answered: Callable[[], None], ended: Callable[[], bool], last: object
) -> None:
    """Tell when Deepgram has answered, and have the stream give ``last`` after all it has heard.

    It comes in the row of the results, so that a busy loop can't have it overtake one. Where the
    plugin has no such place, nothing is told.

    Args:
        stream: The plugin's.
        answered: Told of each answer, with words or without.
        ended: Whether the audio has ended: only then are there no more results to come.
        last: What the stream gives then.
    """
    process = getattr(stream, "_process_stream_event", None)
    if process is None:
        return

    def processed(message: Mapping[str, Any]) -> None:
        process(message)
        if message.get("type") == _ANSWER:
            answered()
        elif message.get("type") == _LAST and ended():
            stream._event_ch.send_nowait(last)  # noqa: SLF001 - there is no other way into the row

    stream._process_stream_event = processed  # noqa: SLF001 - the only place that sees them
