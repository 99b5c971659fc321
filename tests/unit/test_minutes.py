"""The minutes in each format: links lead to their lines, and nothing that was said is markup."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from html.parser import HTMLParser

import pytest
from docx import Document
from docx.oxml.ns import qn
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from bench.summarised_meeting import meeting_of, summary_of, weekly
from pipelines.post_meeting.minutes.docx import minutes_docx
from pipelines.post_meeting.minutes.html import minutes_html
from pipelines.post_meeting.minutes.markdown import minutes_markdown
from pipelines.post_meeting.minutes.meetai import merged_lines, summary_markdown
from pipelines.post_meeting.minutes.redact import redacted
from pipelines.post_meeting.summary import EXTRACTIVE, Summary
from pipelines.transcript.document import AuditEntry, Correction, Hole, Person, TranscriptDocument
from pipelines.transcript.escapes import shown_name

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</style><b>",
    "[link](javascript:alert(1)) ![x](https://example.org/x.png)",
    '<a id="line-1"></a>',
    "&lt;b&gt; & co",
    "# heading\n\n- item",
    "https://example.org",
    "nul\0 escape\x1b[31m \uffff \ud800",
    "\u202eright to left\u202c שלום",
    "",
]
# Overview, decisions, action items, questions, then the topics of the notes.
ORDER_OF_CITES = ["s1", "s2", "s2", "s3", "s4", "s0", "s1", "s3"]
anything = st.text(st.characters(codec=None), max_size=30) | st.sampled_from(HOSTILE)


class Page(HTMLParser):
    """What a browser makes of a page: its elements, ids, links and text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.addresses: list[str] = []
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            elif name == "href":
                self.links.append(value or "")
            elif name in {"src", "srcset", "action", "data", "style"} or name.startswith("on"):
                self.addresses.append(f"{name}={value}")

    def handle_data(self, data: str) -> None:
        self.text += data


def hostile_meeting(text: str) -> tuple[TranscriptDocument, Summary]:
    document = meeting_of(*(("u", text, text) for _ in range(5)), meeting=text, room=text)
    summary = summary_of(document)
    statement = summary.overview[0].model_copy(update={"text": text})
    section = summary.sections[0].model_copy(update={"title": text, "statements": (statement,)})
    action = summary.actions[0].model_copy(update={"text": text, "owner": text, "due": text})
    return document, summary.model_copy(
        update={
            "overview": (statement,),
            "sections": (section,),
            "actions": (action,),
            "made_by": f"llm:{text}",
        }
    )


def rendered(markdown: str) -> Page:
    return Page(MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(markdown))


def squeezed(text: str) -> str:
    return " ".join(text.split())


@given(anything)
@settings(max_examples=60, deadline=None)
def test_in_html_nothing_that_was_said_is_an_element_or_an_address(text: str) -> None:
    page = Page(minutes_html(*hostile_meeting(text)))
    assert set(page.tags) <= {
        *("html", "head", "meta", "title", "style", "body"),
        *("h1", "h2", "h3", "p", "ul", "li", "a", "span"),
    }
    assert page.addresses == []
    assert all(re.fullmatch(r"#line-\d+", link) for link in page.links)
    assert squeezed(shown_name(text)) in squeezed(page.text)


@given(anything)
@settings(max_examples=60, deadline=None)
def test_in_markdown_nothing_that_was_said_is_markup(text: str) -> None:
    page = rendered(minutes_markdown(*hostile_meeting(text)))
    assert set(page.tags) <= {"h1", "h2", "h3", "p", "ul", "li", "a", "em", "strong"}
    assert page.addresses == []
    assert all(re.fullmatch(r"#line-\d+", link) for link in page.links)
    assert squeezed(shown_name(text)) in squeezed(page.text)


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(lambda *made: Page(minutes_html(*made)), id="html"),
        pytest.param(lambda *made: rendered(minutes_markdown(*made)), id="markdown"),
    ],
)
def test_each_statement_links_to_the_lines_it_cites(
    page: Callable[[TranscriptDocument, Summary], Page],
) -> None:
    document = weekly()
    found = page(document, summary_of(document))
    assert found.ids == [f"line-{number}" for number in range(1, 6)]
    cited = [int(cite.removeprefix("s")) + 1 for cite in ORDER_OF_CITES]
    assert found.links[: len(cited)] == [f"#line-{number}" for number in cited]


def test_html_lets_nothing_in_from_elsewhere() -> None:
    document = weekly()
    page = minutes_html(document, summary_of(document))
    assert "default-src 'none'" in page
    assert "http://" not in page
    assert "https://" not in page


def test_a_word_document_opens_and_its_links_lead_to_bookmarks() -> None:
    document = weekly()
    word = Document(io.BytesIO(minutes_docx(document, summary_of(document))))
    body = word.element.body
    bookmarks = [mark.get(qn("w:name")) for mark in body.iter(qn("w:bookmarkStart"))]
    links = [link.get(qn("w:anchor")) for link in body.iter(qn("w:hyperlink"))]
    assert bookmarks == [f"line_{number}" for number in range(1, 6)]
    assert links[:2] == ["line_2", "line_3"]
    assert set(links) <= set(bookmarks)
    item = next(one for one in word.paragraphs if one.text.startswith("Write the notes."))
    assert item.text == "Write the notes. (Ada, due Thursday) 00:00:15 00:00:20"
    assert word.core_properties.title == "weekly"


@pytest.mark.parametrize("text", HOSTILE)
def test_a_word_document_takes_whatever_was_said(text: str) -> None:
    word = Document(io.BytesIO(minutes_docx(*hostile_meeting(text))))
    assert word.paragraphs[0].text == shown_name(text)


def test_minutes_speak_the_language_of_the_summary() -> None:
    document = weekly()
    page = minutes_html(document, summary_of(document, language="fr-CA"))
    assert '<html lang="fr-CA">' in page
    assert "Décisions" in page


def test_minutes_say_who_made_the_summary() -> None:
    document = weekly()
    summary = summary_of(document)
    assert "Summarised by scripted-1" in minutes_html(document, summary)
    extractive = summary.model_copy(update={"made_by": EXTRACTIVE})
    assert "no language model was asked" in minutes_html(document, extractive)


def test_minutes_of_silence_say_so() -> None:
    document = meeting_of()
    nothing = {"overview": (), "sections": (), "decisions": (), "actions": (), "questions": ()}
    summary = summary_of(document).model_copy(update=nothing)
    assert "Nothing was said." in minutes_markdown(document, summary)
    assert "Nothing was said." in minutes_html(document, summary)
    assert minutes_docx(document, summary)


def test_what_the_check_dropped_is_in_no_minutes() -> None:
    document = weekly()
    for make in (minutes_html, minutes_markdown, summary_markdown):
        assert "Margaret" not in make(document, summary_of(document))


def test_lines_of_one_speaker_are_merged_as_meetai_does() -> None:
    assert merged_lines(weekly()).splitlines()[:2] == [
        "[00:00] Ada Lovelace: Good morning, shall we begin?",
        "[00:05] Grace Hopper: Yes. The compiler passes its tests. We ship it on Friday.",
    ]


def test_minutes_of_a_meetai_moment_go_on_beyond_an_hour() -> None:
    late = (
        meeting_of(("u", "Ada", "late"))
        .segments[0]
        .model_copy(update={"start_ms": 75 * 60_000 + 3_000})
    )
    document = meeting_of().model_copy(update={"segments": (late,)})
    assert merged_lines(document) == "[75:03] Ada: late\n"


def test_a_meetai_summary_has_overview_and_notes_with_time_ranges() -> None:
    document = weekly()
    text = summary_markdown(document, summary_of(document))
    headings = [line for line in text.splitlines() if line.startswith("#")]
    assert headings[:4] == [
        "### Overview",
        "### Notes",
        r"#### Release \[00:00 - 00:14\]",
        r"#### Notes \[00:15 - 00:24\]",
    ]
    assert r"- The compiler ships on Friday. \[00:05\] \[00:10\]" in text
    assert r"- Write the notes. (Ada, due Thursday) \[00:15\] \[00:20\]" in text


def test_redacted_minutes_have_no_name_of_anybody_who_was_there() -> None:
    document, summary = redacted(weekly(), summary_of(weekly()))
    page = minutes_html(document, summary)
    for name in ("Ada", "Lovelace", "Grace", "Hopper", "Alan", "Turing", "u-1"):
        assert name not in page
    assert "Speaker 3 asks Speaker 1 to write them." in page
    assert "Who writes the notes? Speaker 1, can you?" in page


def test_redacted_minutes_hide_who_corrected_and_what_stood_there_and_drop_the_audit_trail() -> (
    None
):
    document = weekly()
    first, *others = document.segments
    correction = Correction(
        by=Person(identity="u-9", name="Katherine"), at="", original="Ada, Katherine said."
    )
    corrected = first.model_copy(update={"source": "person", "correction": correction})
    entry = AuditEntry(event="done", id="a", at="", ms=0, data={"to": "Katherine"})
    document = document.model_copy(update={"segments": (corrected, *others), "actions": (entry,)})
    hidden, _ = redacted(document, summary_of(document))
    for name in ("Ada", "Katherine", "u-9"):
        assert name not in hidden.model_dump_json()


def test_redaction_knows_names_in_scripts_without_spaces_and_leaves_longer_words() -> None:
    document = meeting_of(("u-1", "田中", "田中さんです"), ("u-2", "Art", "the art of articles"))
    hidden, _ = redacted(document, summary_of(weekly()))
    said = [segment.text for segment in hidden.segments]
    assert said == ["Speaker 1さんです", "the Speaker 2 of articles"]


def test_a_line_says_if_it_is_from_the_recording_unless_all_are() -> None:
    document = weekly()
    first, *others = document.segments
    recorded = first.model_copy(update={"source": "recording"})
    mixed = document.model_copy(update={"segments": (recorded, *others)})
    whole = document.model_copy(update={"segments": (recorded,)})
    assert "begin? *(from the recording)*" in minutes_markdown(mixed, summary_of(document))
    assert Page(minutes_html(mixed, summary_of(document))).text.count("from the recording") == 1
    assert "from the recording" not in minutes_markdown(whole, summary_of(document))


def test_voices_at_one_microphone_are_turns_of_their_own_and_keep_their_labels_redacted() -> None:
    document = weekly()
    first, second, *_ = document.segments
    voices = (
        first.model_copy(update={"name": "Ada Lovelace (voice 1)"}),
        first.model_copy(update={"name": "Ada Lovelace (voice 2)", "text": "Me too."}),
        second.model_copy(update={"speaker": "", "name": "voice 3"}),
    )
    document = document.model_copy(update={"segments": voices})
    hidden, _ = redacted(document, summary_of(document))
    assert [line.partition(": ")[0] for line in merged_lines(document).splitlines()] == [
        "[00:00] Ada Lovelace (voice 1)",
        "[00:00] Ada Lovelace (voice 2)",
        "[00:05] voice 3",
    ]
    assert [line.partition(": ")[0] for line in merged_lines(hidden).splitlines()] == [
        "[00:00] Speaker 1 (voice 1)",
        "[00:00] Speaker 1 (voice 2)",
        "[00:05] voice 3",
    ]


def with_holes(document: TranscriptDocument) -> TranscriptDocument:
    ada = (Person(identity="u-1", name="Ada Lovelace"),)
    holes = tuple(
        Hole(start_ms=at, end_ms=at + 2600, start="", cause=cause, speakers=who, reason="Ada left")
        for at, cause, who in ((6000, "restart", ()), (12_000, "engine", ada))
    )
    return document.model_copy(update={"holes": holes})


@pytest.mark.parametrize("make", [minutes_markdown, minutes_html])
def test_a_hole_stands_where_speech_may_be_missing_and_parts_a_turn(
    make: Callable[[TranscriptDocument, Summary], str],
) -> None:
    document = with_holes(weekly())
    page = make(document, summary_of(document))
    text = squeezed((rendered(page) if make is minutes_markdown else Page(page)).text)
    everybodys = text.index("00:00:06 [not heard for 3 s: the agent was restarted]")
    adas = text.index("00:00:12 [Ada Lovelace not heard for 3 s: the speech engine did not answer]")
    transcript = text.index("Transcript")
    before, between = text[transcript:everybodys], text[everybodys:adas]
    assert "The compiler passes its tests." in before
    assert "Grace Hopper" in between
    assert "00:00:10 We ship it on Friday." in between


def test_a_word_document_has_the_holes_too_and_each_language_has_its_words() -> None:
    document = with_holes(weekly())
    word = Document(io.BytesIO(minutes_docx(document, summary_of(document, language="fr"))))
    shown = [one.text for one in word.paragraphs if "[" in one.text]
    assert shown == [
        "00:00:06 [rien entendu pendant 3 s: l'agent a redémarré]",
        "00:00:12 [Ada Lovelace : rien entendu pendant 3 s: le moteur vocal n'a pas répondu]",
    ]


def test_redacted_holes_have_no_names() -> None:
    document, summary = redacted(with_holes(weekly()), summary_of(weekly()))
    assert "Speaker 1 not heard for 3 s" in minutes_markdown(document, summary)
    assert "Ada" not in "".join(hole.model_dump_json() for hole in document.holes)
