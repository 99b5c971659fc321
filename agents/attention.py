"""Which tracks are read: microphones while an agent hears, shared screens where asked for.

What LiveKit's client is asked for while it makes a broken connection anew is lost, measured: the
tracks of all who were back before it would never come. So they are asked for again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from livekit import rtc

from agents.audio import Listener
from agents.encryption import Decryption
from pipelines.events import Event, MicrophoneMuted, MicrophoneUnmuted


class Attention:
    """Has listeners read what is to be read now.

    ``hears`` says whether microphones are read.

    Args:
        room: The room.
        listeners: Identity -> the audio of those who are in the room.
        decryption: Whose media can be read.
        emit: Takes ``MicrophoneMuted`` and ``MicrophoneUnmuted``.
    """

    def __init__(
        self,
        room: rtc.Room,
        listeners: Mapping[str, Listener],
        decryption: Decryption,
        emit: Callable[[Event], None],
    ) -> None:
        self._room = room
        self._listeners = listeners
        self._decryption = decryption
        self._emit = emit
        self._screen_shares = False
        self._cut_off_at: float | None = None
        self._unheard: dict[Listener, float] = {}
        self.hears = False

    def hear(self, wanted: bool, *, screen_shares: bool = False) -> None:
        """Read microphones, or stop reading them; see ``MeetingRoom.hear``."""
        if (wanted, screen_shares) != (self.hears, self._screen_shares):
            self.hears, self._screen_shares = wanted, screen_shares
            self.attend_to_all()

    def attend_to_all(self) -> None:
        """Read every track or don't, whichever it should be now."""
        for participant in self._room.remote_participants.values():
            if listener := self._listeners.get(participant.identity):
                for publication in participant.track_publications.values():
                    self.attend(publication, listener)

    def attend(self, publication: rtc.RemoteTrackPublication, listener: Listener) -> None:
        """Read a track or don't, whichever it should be now."""
        wanted = self.hears and (
            is_microphone(publication) or (self._screen_shares and _is_screen_share(publication))
        )
        track = publication.track if wanted else None
        if track and self._decryption.readable(listener.identity):
            if listener.track(track.sid) is not track:
                listener.add_track(track, muted=publication.muted)
                if not publication.muted and is_microphone(publication):
                    self._emit(MicrophoneUnmuted(time.time(), listener.identity))
        else:
            self.let_go(publication, listener)

    def let_go(self, publication: rtc.RemoteTrackPublication, listener: Listener) -> None:
        """Read a track no longer."""
        if listener.track(publication.sid):
            listener.remove_track(publication.sid)
            if is_microphone(publication) and not publication.muted:
                self._emit(MicrophoneMuted(time.time(), listener.identity))

    def cut_off(self) -> None:
        """Take that the connection is broken; it may be mended without anything that is missed."""
        if self._cut_off_at is None:
            self._cut_off_at = time.time()

    def ask_again(self) -> dict[Listener, float]:
        """Ask for every track that did not come, now that the connection is there again.

        Returns:
            Those whose microphone is open and who are not heard yet, and since when, Unix seconds;
            each is to be given to :meth:`hears_again`.
        """
        since, self._cut_off_at = self._cut_off_at, None
        for who, participant in self._room.remote_participants.items():
            for publication in participant.track_publications.values():
                audio = publication.kind == rtc.TrackKind.KIND_AUDIO
                if audio and who in self._listeners and not publication.subscribed:
                    publication.set_subscribed(True)
        if since is None or not self.hears:
            return {}
        # Who was heard before is here still: nothing had to be made anew.
        unheard = {one: since for one in self.speaking_now() if not one.heard.is_set()}
        self._unheard |= unheard
        return unheard

    def hears_again(self, listener: Listener) -> None:
        """Take that somebody of :meth:`ask_again` is heard, or has left."""
        self._unheard.pop(listener, None)

    def missing_since(self, oldest: float) -> float | None:
        """Return since when no audio comes of somebody's open microphone, Unix seconds; else None.

        Args:
            oldest: A single microphone that is missing for longer is passed over, Unix seconds.
        """
        since = [listener.missing_since for listener in self._listeners.values()]
        since += self._unheard.values()
        missing = [at for at in since if at is not None and at >= oldest]
        if self._cut_off_at is not None:  # Nobody is heard.
            missing.append(self._cut_off_at)
        return min(missing, default=None)

    def speaking_now(self) -> list[Listener]:
        """Return the listeners of everyone whose microphone is open, subscribed or not yet."""
        return [
            self._listeners[who]
            for who, participant in self._room.remote_participants.items()
            if who in self._listeners
            and self._decryption.readable(who)
            and any(
                is_microphone(publication) and not publication.muted
                for publication in participant.track_publications.values()
            )
        ]


def is_microphone(publication: rtc.TrackPublication) -> bool:
    """Tell whether it is somebody's voice; a source that nobody named is."""
    return (
        publication.kind == rtc.TrackKind.KIND_AUDIO
        and publication.source != rtc.TrackSource.SOURCE_SCREENSHARE_AUDIO
    )


def _is_screen_share(publication: rtc.TrackPublication) -> bool:
    return publication.source == rtc.TrackSource.SOURCE_SCREENSHARE_AUDIO
