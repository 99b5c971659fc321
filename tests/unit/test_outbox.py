"""Which caption goes next."""

from __future__ import annotations

from pipelines.events import CaptionFinal, CaptionInterim
from pipelines.transcript.outbox import Outbox


def interim(text: str, *, segment: str = "s", who: str = "ada") -> CaptionInterim:
    return CaptionInterim(at=0.0, segment=segment, identity=who, name="", text=text)


def final(text: str, *, segment: str = "s", who: str = "ada") -> CaptionFinal:
    return CaptionFinal(at=0.0, end=1.0, segment=segment, identity=who, name="", text=text)


def test_of_several_interims_only_the_latest_goes() -> None:
    outbox = Outbox(interval=0.2)
    outbox.offer(interim("good"))
    outbox.offer(interim("good morning"))
    assert outbox.take(10.0) == interim("good morning")
    assert outbox.take(10.0) is None


def test_interims_of_one_speaker_keep_their_distance_and_do_not_hold_up_another() -> None:
    outbox = Outbox(interval=0.2)
    outbox.offer(interim("a"))
    assert outbox.take(10.0) == interim("a")
    outbox.offer(interim("a b"))
    outbox.offer(interim("x", segment="t", who="bob"))
    assert outbox.take(10.1) == interim("x", segment="t", who="bob")
    assert outbox.take(10.1) is None
    assert 0.05 < (outbox.wait(10.1) or 0.0) <= 0.1001
    assert outbox.take(10.21) == interim("a b")


def test_every_final_goes_at_once_in_order() -> None:
    outbox = Outbox(interval=0.2)
    finals = [final(str(n), segment=str(n)) for n in range(5)]
    for caption in finals:
        outbox.offer(caption)
    assert [outbox.take(10.0) for _ in finals] == finals


def test_no_interim_goes_after_its_final() -> None:
    outbox = Outbox(interval=0.2)
    outbox.offer(interim("good"))
    outbox.offer(final("good morning"))
    outbox.offer(interim("late"))
    assert outbox.take(10.0) == final("good morning")
    assert outbox.take(20.0) is None


def test_a_final_that_could_not_be_sent_is_next_again() -> None:
    outbox = Outbox(interval=0.2)
    for n in range(2):
        outbox.offer(final(str(n), segment=str(n)))
    first = outbox.take(10.0)
    assert first
    outbox.put_back(first)
    assert outbox.take(10.0) == first
