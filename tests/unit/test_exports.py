"""The files made of a transcript document, read back as strictly as their formats allow."""

from __future__ import annotations

import re
import unicodedata
from datetime import timedelta
from html.parser import HTMLParser

import pytest
import srt  # type: ignore[import-untyped]
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from pipelines.transcript.build_document import build_document
from pipelines.transcript.document import Hole, Person, Segment, TranscriptDocument
from pipelines.transcript.exports import EXPORTS

HOSTILE = [
    "-->",
    "00:00:01,000 --> 00:00:02,000",
    "1\n00:00:01,000 --> 00:00:02,000\nhello",
    "cut off--",
    "<b>bold</b> & <v Eve>",
    "&lt;b&gt;",
    "one\n\ntwo\r\nthree\u2028four\x85five",
    "\u202eright to left\u202c שלום \u200f",
    "👩🏽‍🚀 🇫🇷",
    "nul\0 escape\x1b[31m \uffff",
    "\ud800 lone \udfff",
    "\u3000 ideographic \xa0",
    "NOTE",
    "",
    "# *[link](javascript:alert(1))* `code` ~~x~~ | $x$ {x}",
    "1. one",
    "- item",
    "https://example.org www.example.org",
    "---",
    "\\",
]

anything = st.text(st.characters(codec=None), max_size=40) | st.sampled_from(HOSTILE)
said = st.lists(st.tuples(anything, anything, st.integers(0, 400_000_000), st.integers(0, 5000)))


def segment(name: str, text: str, start_ms: int = 0, duration_ms: int = 1000) -> Segment:
    return Segment(
        id="s1",
        speaker="ada",
        name=name,
        text=text,
        start_ms=start_ms,
        end_ms=start_ms + duration_ms,
        start="2026-11-21T09:30:00.000Z",
        language="en",
        engine="fake/fake",
        revision=0,
    )


def hole(start_ms: int, duration_ms: int, *names: str, cause: str = "restart") -> Hole:
    return Hole(
        start_ms=start_ms,
        end_ms=start_ms + duration_ms,
        start="2026-11-21T09:30:00.000Z",
        cause=cause,
        speakers=tuple(Person(identity=name, name=name) for name in names),
        reason="",
    )


def document(*segments: Segment, holes: tuple[Hole, ...] = ()) -> TranscriptDocument:
    people = dict.fromkeys(Person(identity=it.speaker, name=it.name) for it in segments)
    return TranscriptDocument(
        meeting="standup",
        room="stand-up",
        seal=1,
        epochs=(1,),
        started_at="2026-11-21T09:30:00.000Z",
        ended_at="2026-11-21T10:02:03.000Z",
        participants=tuple(people),
        speakers=tuple(people),
        segments=segments,
        holes=holes,
        notes=(),
    )


def readable(text: str) -> str:
    """The line that a reader is to see, said in other words than the code's."""
    line = re.sub(r"[ \t]+", " ", " ".join(text.splitlines()))
    return "".join(
        "\ufffd" if unicodedata.category(it) in {"Cc", "Cs"} or it in "\ufffe\uffff" else it
        for it in line
    ).strip()


def shown(document: TranscriptDocument) -> list[str]:
    return [f"{readable(it.name) or '?'}: {readable(it.text)}" for it in document.segments]


def test_json_reads_back_as_the_same_document() -> None:
    made = document(segment("Ada", "one\n\ntwo\0 <b> -->"))
    assert TranscriptDocument.model_validate_json(EXPORTS["json"](made)) == made


@pytest.mark.parametrize("ending", EXPORTS)
def test_a_meeting_without_a_line_has_every_file(ending: str) -> None:
    assert isinstance(EXPORTS[ending](build_document([], seal=1)), str)


def test_webvtt_holds_one_voiced_cue_per_segment() -> None:
    assert EXPORTS["vtt"](document(segment("Ada", "Good morning."))) == (
        "WEBVTT\n\nNOTE Meeting standup, seal 1\n\n"
        "s1\n00:00:00.000 --> 00:00:01.000\n<v Ada>Good morning.</v>\n"
    )


def test_webvtt_escapes_what_it_would_read_as_syntax() -> None:
    text = EXPORTS["vtt"](document(segment("a>b", "<b> & -->")))
    assert "<v a&gt;b>&lt;b&gt; &amp; --&gt;</v>" in text


def test_webvtt_note_holds_no_arrow() -> None:
    made = document().model_copy(update={"meeting": "a ---> b\n\nc"})
    assert "NOTE Meeting a -> b c, seal 1\n" in EXPORTS["vtt"](made)


@pytest.mark.parametrize(
    ("segment_id", "identifier"),
    [
        ("SG_3f-1.2~", "SG_3f-1.2~"),
        ("a --> b\nc", "a%20--%3E%20b%0Ac"),
        ("NOTE", "%4EOTE"),
        ("STYLE", "%53TYLE"),
        ("é", "%C3%A9"),
    ],
)
def test_webvtt_cue_identifier_is_the_segment_id_made_safe(
    segment_id: str, identifier: str
) -> None:
    made = document(segment("Ada", "hello").model_copy(update={"id": segment_id}))
    assert f"\n\n{identifier}\n00:00:00.000 --> " in EXPORTS["vtt"](made)


@given(said)
@example([(text, text, 0, 0) for text in HOSTILE])
def test_webvtt_cues_are_whole_whatever_was_said(said: list[tuple[str, str, int, int]]) -> None:
    made = document(*(segment(*it) for it in said))
    head, note, *cues = EXPORTS["vtt"](made).removesuffix("\n").split("\n\n")
    assert (head, note.split()[0], len(cues)) == ("WEBVTT", "NOTE", len(said))
    for cue, wanted in zip(cues, shown(made), strict=True):
        _, timings, payload = cue.split("\n")
        assert re.fullmatch(r"\d{2,}:\d\d:\d\d\.\d{3} --> \d{2,}:\d\d:\d\d\.\d{3}", timings)
        assert "-->" not in payload
        reader = CueText()
        reader.feed(payload)
        reader.close()
        assert reader.tags == ["v"]
        voice = payload[len("<v ") : payload.index(">")]
        assert f"{reader.unescape(voice)}: {reader.text}" == wanted


class CueText(HTMLParser):
    """WebVTT's cue text is close enough to HTML to be read as such."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=False)
        self.tags: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, *_: object) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_entityref(self, name: str) -> None:
        self.text += self.unescape(f"&{name};")

    @staticmethod
    def unescape(text: str) -> str:
        for reference, character in {"&lt;": "<", "&gt;": ">", "&#45;": "-", "&amp;": "&"}.items():
            text = text.replace(reference, character)
        return text


def test_srt_holds_one_numbered_subtitle_per_segment() -> None:
    made = document(segment("Ada", "Good morning."), segment("Bob", "Hello.", 2500))
    assert EXPORTS["srt"](made) == (
        "1\n00:00:00,000 --> 00:00:01,000\nAda: Good morning.\n\n"
        "2\n00:00:02,500 --> 00:00:03,500\nBob: Hello.\n"
    )


@given(said)
@example([(text, text, 0, 0) for text in HOSTILE])
@example([("Ada", "hello", 360_000_000, 0)])
def test_srt_reads_strictly_as_what_was_said(said: list[tuple[str, str, int, int]]) -> None:
    made = document(*(segment(*it) for it in said))
    read = list(srt.parse(EXPORTS["srt"](made), ignore_errors=False))
    assert [it.index for it in read] == list(range(1, len(said) + 1))
    assert [(it.start, it.end) for it in read] == [
        (timedelta(milliseconds=start), timedelta(milliseconds=start + max(1, duration)))
        for _, _, start, duration in said
    ]
    contents = [re.sub("-{2,}>", "->", it) for it in shown(made)]
    assert [it.content.rstrip() for it in read] == [it.rstrip() for it in contents]
    assert [it.proprietary for it in read] == [""] * len(said)


@given(said)
@example([(text, text, 0, 0) for text in HOSTILE])
def test_text_has_one_line_per_segment_whatever_was_said(
    said: list[tuple[str, str, int, int]],
) -> None:
    made = document(*(segment(*it) for it in said))
    lines = EXPORTS["txt"](made).splitlines()
    assert [re.sub(r"^\[\d{2,}:\d\d:\d\d\] ", "", line) for line in lines] == shown(made)


def test_text_gives_the_time_from_the_start_of_the_meeting() -> None:
    made = document(segment("Ada", "still here", 100 * 3_600_000 + 61_999))
    assert EXPORTS["txt"](made) == "[100:01:01] Ada: still here\n"


def test_markdown_names_a_speaker_once_per_turn() -> None:
    bob = segment("Bob", "Hello.", 9000).model_copy(update={"speaker": "bob"})
    made = document(segment("Ada", "Good morning."), segment("Ada", "Shall we?", 5000), bob)
    assert EXPORTS["md"](made) == (
        "# stand-up\n\n2026-11-21 09:30 to 2026-11-21 10:02 (UTC)\n\n"
        "## Participants\n\n- Ada\n- Bob\n\n"
        "## Transcript\n\n"
        "**Ada** · 00:00:00\n\nGood morning.\n\nShall we?\n\n"
        "**Bob** · 00:00:09\n\nHello.\n"
    )


@given(said)
@example([(text, text, 0, 0) for text in HOSTILE])
def test_markdown_takes_nothing_that_was_said_for_markup(
    said: list[tuple[str, str, int, int]],
) -> None:
    segments = [segment(*it).model_copy(update={"speaker": str(n)}) for n, it in enumerate(said)]
    reader = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    tokens = reader.parse(EXPORTS["md"](document(*segments)))
    assert {token.type for token in tokens} <= {
        *("heading_open", "heading_close", "paragraph_open", "paragraph_close", "inline"),
        *("bullet_list_open", "bullet_list_close", "list_item_open", "list_item_close"),
    }
    inline = [token.children or [] for token in tokens if token.type == "inline"]
    turns = inline[-2 * len(said) :] if said else []
    for it, heading, speech in zip(segments, turns[::2], turns[1::2], strict=True):
        assert [token.type for token in heading if token.content or token.nesting] == [
            *("strong_open", "text", "strong_close", "text")
        ]
        assert {token.type for token in speech} == {"text"}
        name = "".join(token.content for token in heading).split(" · ")[0]
        assert name == (readable(it.name) or "?")
        assert "".join(token.content for token in speech) == (readable(it.text) or "?")


def test_markdown_keeps_githubs_readers_from_making_links_of_speech() -> None:
    text = EXPORTS["md"](document(segment("Ada", "see https://evil.example or WWW.evil.example")))
    assert r"see https\://evil.example or WWW\.evil.example" in text


WITH_HOLES = document(
    segment("Ada", "Good morning."),
    segment("Ada", "Shall we?", 5000),
    holes=(hole(1500, 3260), hole(6000, 1200, "Ada", "Bob", cause="engine")),
)


def test_webvtt_shows_a_hole_as_a_cue_without_voice_or_identifier() -> None:
    assert EXPORTS["vtt"](WITH_HOLES).split("\n\n")[3:] == [
        "00:00:01.500 --> 00:00:04.760\n[not heard for 3.3 s: the agent was restarted]",
        "s1\n00:00:05.000 --> 00:00:06.000\n<v Ada>Shall we?</v>",
        (
            "00:00:06.000 --> 00:00:07.200\n"
            "[Ada, Bob not heard for 1.2 s: the speech engine did not answer]\n"
        ),
    ]


def test_srt_shows_a_hole_as_a_subtitle_of_its_own() -> None:
    read = list(srt.parse(EXPORTS["srt"](WITH_HOLES), ignore_errors=False))
    assert [it.index for it in read] == [1, 2, 3, 4]
    assert read[1].content == "[not heard for 3.3 s: the agent was restarted]"


def test_text_shows_a_hole_as_a_line_of_its_own() -> None:
    assert EXPORTS["txt"](WITH_HOLES).splitlines()[1] == (
        "[00:00:01] [not heard for 3.3 s: the agent was restarted]"
    )


def test_markdown_shows_a_hole_in_italics_between_turns() -> None:
    assert EXPORTS["md"](WITH_HOLES).split("## Transcript\n\n")[1] == (
        "**Ada** · 00:00:00\n\nGood morning.\n\n"
        "*\\[not heard for 3.3 s: the agent was restarted\\]* · 00:00:01\n\n"
        "**Ada** · 00:00:05\n\nShall we?\n\n"
        "*\\[Ada, Bob not heard for 1.2 s: the speech engine did not answer\\]* · 00:00:06\n"
    )


@given(st.lists(st.tuples(anything, anything, st.integers(0, 400_000), st.integers(0, 5000))))
@example([(text, text, 0, 0) for text in HOSTILE])
def test_a_hole_of_whatever_name_and_cause_is_one_part_of_every_file(
    found: list[tuple[str, str, int, int]],
) -> None:
    holes = tuple(hole(start, took, name, cause=cause) for name, cause, start, took in found)
    made = document(segment("Ada", "hello"), holes=tuple(sorted(holes, key=lambda it: it.start_ms)))
    cues = EXPORTS["vtt"](made).removesuffix("\n").split("\n\n")[2:]
    assert len(cues) == len(holes) + 1
    assert sum("<v " in cue for cue in cues) == 1
    assert all(cue.count("-->") == 1 for cue in cues)
    assert len(list(srt.parse(EXPORTS["srt"](made), ignore_errors=False))) == len(holes) + 1
    assert len(EXPORTS["txt"](made).splitlines()) == len(holes) + 1
    tokens = MarkdownIt("commonmark", {"html": True}).parse(EXPORTS["md"](made))
    emphasised = [
        child for token in tokens for child in token.children or [] if child.type == "em_open"
    ]
    assert len(emphasised) == len(holes)
