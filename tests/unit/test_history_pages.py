"""Pages of the history: in order of keeping, bounded, nothing missed and nothing twice."""

from __future__ import annotations

from pipelines.events import CaptionFinal, CaptionInterim, Hole, HoleCause
from pipelines.transcript.correction import correction_data, latest_corrections
from pipelines.transcript.history import START, Cursor, latest_revisions, page_message, page_of
from pipelines.transcript.line import Line, final_data, hole_data


def final(segment: str, *, at: float = 1001.0, text: str = "hello", revision: int = 0) -> Line:
    caption = CaptionFinal(at, at + 1, segment, "ada", "Ada", text, revision=revision)
    return Line("m", 7, 1, "final", at, final_data(caption, meeting_start=1000.0))


def lines(count: int, *, epoch: int = 7) -> list[Line]:
    data = final("s").data
    return [
        Line("m", epoch, n, "final", 1001.0, {**data, "segment": f"{epoch}-{n}"})
        for n in range(1, count + 1)
    ]


def test_pages_follow_each_other_across_epochs_until_nothing_is_left() -> None:
    finals = [*lines(5), *lines(4, epoch=8)]
    after = START
    seen: list[Line] = []
    while True:
        page = page_of(finals, after=after, limit=2, size=100_000, corrections={})
        seen += page.lines
        if page.next is None:
            break
        after = page.next
    assert seen == finals


def test_a_page_that_is_just_full_is_the_last_one_where_nothing_follows() -> None:
    assert page_of(lines(2), after=START, limit=2, size=100_000, corrections={}).next is None


def test_a_page_holds_few_long_finals_and_one_that_is_too_long_alone() -> None:
    finals = lines(3)
    page = page_of(finals, after=START, limit=100, size=len(finals[0].encode()) + 1, corrections={})
    assert page.lines == finals[:1]
    assert page.next == Cursor(7, 1)
    assert page_of(finals, after=START, limit=100, size=1, corrections={}).lines == finals[:1]


def test_only_the_last_page_tells_what_is_being_said_at_the_moment() -> None:
    interim = CaptionInterim(1002.0, "i", "ada", "Ada", "hel")
    finals = lines(2)
    messages = [
        page_message(
            page_of(finals, after=START, limit=limit, size=100_000, corrections={}),
            meeting="m",
            started_at=1000.0,
            interims=[interim],
        )
        for limit in (1, 2)
    ]
    assert [len(message["interims"]) for message in messages] == [0, 1]
    assert messages[0]["next"] == {"epoch": 7, "sequence": 1}
    assert messages[1]["interims"][0]["start"] == "1970-01-01T00:16:42.000Z"
    assert messages[1]["segments"][0]["start"] == "1970-01-01T00:16:41.000Z"


def test_of_a_segment_the_highest_revision_counts_and_an_empty_one_withdraws_it() -> None:
    captions = [
        CaptionFinal(1002.0, 1003.0, "b", "ada", "Ada", "right", revision=1),
        CaptionFinal(1002.0, 1003.0, "b", "ada", "Ada", "wrong"),
        CaptionFinal(1001.0, 1003.0, "a", "ada", "Ada", "noise"),
        CaptionFinal(1001.0, 1003.0, "a", "ada", "Ada", "", revision=1),
        CaptionFinal(1000.0, 1003.0, "c", "ada", "Ada", "before"),
    ]
    assert [
        caption.text for caption in latest_revisions(captions, since=1001.0, corrections={})
    ] == ["right"]


def test_a_hole_has_its_place_among_the_finals_and_its_own_list_in_the_reply() -> None:
    first, last = lines(3)[::2]
    hole = Hole(1001.5, 1004.0, HoleCause.RESTART)
    missing = Line("m", 7, 2, "hole", 1001.5, hole_data(hole, meeting_start=1000.0))
    page = page_of([first, missing, last], after=START, limit=2, size=100_000, corrections={})
    message = page_message(page, meeting="m", started_at=1000.0, interims=[])
    assert [one["sequence"] for one in message["segments"]] == [1]
    assert message["next"] == {"epoch": 7, "sequence": 2}
    assert message["holes"] == [
        {
            "epoch": 7,
            "sequence": 2,
            "start_ms": 1500,
            "end_ms": 4000,
            "cause": "restart",
            "speakers": [],
            "reason": "",
            "start": "1970-01-01T00:16:41.500Z",
        }
    ]


def correction(text: str, *, sequence: int, epoch: int = 7) -> Line:
    caption = CaptionFinal(1001.0, 1002.0, "7-1", "ada", "Ada", "hello")
    data = correction_data(caption, text, by="gr", name="Grace", index=9, meeting_start=1000.0)
    return Line("m", epoch, sequence, "correction", 1060.0, data)


def test_a_corrected_segment_reads_so_in_its_place_and_comes_again_in_the_corrections() -> None:
    said = [*lines(2), correction("hallo", sequence=3), correction("Hello!", sequence=4)]
    corrections = latest_corrections(said)

    def segments(after: Cursor) -> list[tuple[str, str, int]]:
        page = page_of(said, after=after, limit=9, size=100_000, corrections=corrections)
        message = page_message(page, meeting="m", started_at=1000.0, interims=[])
        assert message["segments"][-1]["correction"] == {
            "by": {"identity": "gr", "name": "Grace"},
            "at": "1970-01-01T00:17:40.000Z",
            "original": "hello",
        }
        told = [(one["segment"], one["text"], one["sequence"]) for one in message["segments"]]
        assert {one["start_ms"] for one in message["segments"]} == {1000}
        return told

    assert segments(Cursor(7, 3)) == [("7-1", "Hello!", 4)]
    again = [("7-1", "Hello!", 3), ("7-1", "Hello!", 4)]
    assert segments(START) == [("7-1", "Hello!", 1), ("7-2", "hello", 2), *again]


def test_a_page_counts_the_bytes_of_corrections_that_lie_beyond_it() -> None:
    finals = lines(2)
    long = correction("x" * 500, sequence=9)
    page = page_of(finals, after=START, limit=9, size=len(long.encode()), corrections={"7-2": long})
    assert page.lines == finals[:1]
