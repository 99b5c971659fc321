"""The check that a statement says no more than the lines it cites."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.post_meeting.answers import Said, Task
from pipelines.post_meeting.citations import Citations
from pipelines.post_meeting.summary import Action, Dropped, DropReason, Statement
from pipelines.transcript.document import Segment

PEOPLE = ("Ada Byron", "Bashir Haddad", "Mark O'Brien", "Chloé Martin")

SAID = [
    ("en", "we need about forty k euros for the q three push", "The Q3 push needs about €40k."),
    ("en", "our ceo wants the gdpr thing by the end of q two", "The CEO wants GDPR by end of Q2."),
    ("en", "it went up fifteen point five percent", "Growth was 15.5%."),
    ("en", "let's meet at half past nine on monday", "They meet on Monday at 9:30 AM."),
    ("en", "let's meet at three p m tomorrow", "They meet tomorrow at 15:00."),
    ("en", "the paris office opens in may", "The Paris office opens in May."),
    ("en", "we may open in paris", "The Paris office may open."),
    ("en", "i told bashir to check it", "Bashir is to check it."),
    ("en", "i'll do it", "Ada Byron takes it on."),
    ("en", "nineteen ninety nine customers in twenty twenty five", "2025: 1999 customers."),
    ("en", "a hundred and fifty thousand users", "There are 150,000 users."),
    ("en", "two million three hundred thousand dollars", "It costs $2.3 million."),
    ("en", "two and a half million dollars", "It costs $2.5 million."),
    ("en", "we use live kit and post gres", "They use LiveKit and Postgres."),
    ("en", "the second option is better", "Option 2 is better."),
    ("en", "we should use python three eleven", "Python 3.11 should be used."),
    ("en", "we talked to amazon web services", "They talked to AWS."),
    ("en", "deliver on the third of the eleventh", "Delivery is on 3 November."),
    ("en", "november twentieth twenty twenty six", "Delivery: 20.11.2026."),
    ("en", "we need the report from chloe", "Chloé's report is needed."),
    ("en", "it is at fifteen gigabytes", "It takes 15 GB."),
    ("en", "we invited two dozen people", "24 people are invited."),
    ("en", "half a dozen of them came", "6 of them came."),
    ("en", "that is a quarter of the budget", "It takes 25% of the budget."),
    ("en", "three quarters are for it and half of us today", "75% are for it, 50% today."),
    ("en", "we ship two point one point three", "Version 2.1.3 is shipped."),
    ("fr", "une douzaine de personnes", "Il y a 12 personnes."),
    ("fr", "quarante mille euros avant le trois mars", "Il faut 40 000 euros avant le 3 mars."),
    ("fr", "marseille a perdu vingt-cinq pour cent", "L'équipe de Marseille a perdu 25 %."),
    ("fr", "on se voit mardi à quatorze heures trente", "Rendez-vous mardi à 14h30."),
    ("de", "dreißigtausend euro bis freitag", "Bis Freitag werden 30.000 Euro gebraucht."),
    ("es", "mil doscientos euros el lunes", "Se necesitan 1.200 euros el lunes."),
    ("pl", "spotkajmy się z adą o trzeciej", "Spotkanie z Adą o 3."),
]

NOT_SAID = [
    ("en", "forty k euros", "It costs €50k.", DropReason.NUMBER_NOT_SAID),
    ("en", "a hundred users", "There are 1,000 users.", DropReason.NUMBER_NOT_SAID),
    ("en", "we lost three customers", "They lost four customers.", DropReason.NUMBER_NOT_SAID),
    ("en", "it costs two million", "It costs 2 billion.", DropReason.NUMBER_NOT_SAID),
    ("en", "let's meet at nine", "They meet at 10:00.", DropReason.NUMBER_NOT_SAID),
    ("en", "the price is up", "The price is up 12 percent.", DropReason.NUMBER_NOT_SAID),
    ("en", "a dozen people", "There are 6 people.", DropReason.NUMBER_NOT_SAID),
    ("en", "a quarter of it", "It is 75% of it.", DropReason.NUMBER_NOT_SAID),
    ("en", "it is at two point one", "This is version 2.1.3.", DropReason.NUMBER_NOT_SAID),
    ("en", "version two dot one", "This is version 2.2.", DropReason.NUMBER_NOT_SAID),
    ("en", "let's meet on monday", "They meet on Tuesday.", DropReason.DATE_NOT_SAID),
    ("en", "let's ship next week", "It ships on 27 November.", DropReason.DATE_NOT_SAID),
    ("en", "we signed with siemens", "They signed with Nokia.", DropReason.NAME_NOT_SAID),
    ("en", "bashir will do it", "Chloé will do it.", DropReason.NAME_NOT_SAID),
    ("en", "we will sell it", "Ada will sell it to Orange.", DropReason.NAME_NOT_SAID),
    ("fr", "quarante mille euros", "Il faut 50 000 euros.", DropReason.NUMBER_NOT_SAID),
    ("fr", "on se voit mardi", "Rendez-vous mercredi.", DropReason.DATE_NOT_SAID),
    ("de", "wir treffen uns im märz", "Das Treffen ist im April.", DropReason.DATE_NOT_SAID),
]


def line(number: int, text: str, *, name: str = "Ada Byron", language: str = "en") -> Segment:
    return Segment(
        id=f"1-{number}",
        speaker=name.lower(),
        name=name,
        text=text,
        start_ms=number * 1000,
        end_ms=number * 1000 + 900,
        start="2026-11-21T09:30:00.000Z",
        language=language,
        engine="fake/fake",
        revision=0,
    )


def checked(
    heard: str, text: str, *, language: str = "en", summary: str = ""
) -> Statement | Dropped:
    lines = [line(1, heard, language=language), line(2, "we mark that", name="Bashir Haddad")]
    citations = Citations(lines, PEOPLE, summary or language)
    return citations.statement(Said(text=text, lines=(1,)), within=range(1, 3))


@pytest.mark.parametrize(("language", "heard", "text"), SAID)
def test_a_statement_stays_that_says_what_its_line_says(
    language: str, heard: str, text: str
) -> None:
    assert checked(heard, text, language=language) == Statement(text=text, cites=("1-1",))


@pytest.mark.parametrize(("language", "heard", "text", "reason"), NOT_SAID)
def test_a_number_a_date_or_a_name_that_its_line_lacks_drops_a_statement(
    language: str, heard: str, text: str, reason: DropReason
) -> None:
    assert checked(heard, text, language=language) == Dropped(text=text, reason=reason)


def test_a_summary_in_another_language_is_checked_by_numbers_dates_and_people() -> None:
    heard = "renault signe mardi pour vingt mille euros dit bashir"
    for text, stays in {
        "Bashir: the French company signs on Tuesday for 20,000 euros.": True,
        "They sign on Wednesday.": False,
        "They sign for 30,000 euros.": False,
        "Then Chloé signs.": False,
    }.items():
        kept = checked(heard, text, language="fr", summary="en")
        assert isinstance(kept, Statement) is stays, text


def test_number_words_of_a_language_that_is_not_read_drop_nothing() -> None:
    assert isinstance(checked("tjugofem procent", "Det är 25 %.", language="sv"), Statement)
    assert isinstance(checked("30 procent", "Det är 25 %.", language="sv"), Dropped)


@pytest.mark.parametrize(
    ("cited", "cites", "reason"),
    [
        ((), None, DropReason.NO_CITATION),
        ((0, -1, 99), None, DropReason.NO_CITATION),
        ((4, 5), None, DropReason.OUTSIDE_SECTION),
        ((3, 2, 2, 5, 99), ("1-2", "1-3"), None),
    ],
)
def test_only_lines_that_there_are_in_the_section_can_be_cited(
    cited: tuple[int, ...], cites: tuple[str, ...] | None, reason: DropReason | None
) -> None:
    citations = Citations([line(number, "we go on") for number in range(1, 6)], PEOPLE, "en")
    kept = citations.statement(Said(text="They go on.", lines=cited), within=range(1, 4))
    assert kept == (
        Dropped(text="They go on.", reason=reason)
        if reason
        else Statement(text="They go on.", cites=cites or ())
    )


def test_what_is_said_in_a_line_that_may_not_be_cited_does_not_count() -> None:
    citations = Citations([line(1, "it costs ten"), line(2, "it costs twenty")], PEOPLE, "en")
    kept = citations.statement(Said(text="It costs 20.", lines=(1, 2)), within=range(1, 2))
    assert kept == Dropped(text="It costs 20.", reason=DropReason.NUMBER_NOT_SAID)


@pytest.mark.parametrize(
    ("heard", "owner", "due", "kept"),
    [
        ("bashir sends it by friday", "Bashir", "by Friday", ("Bashir", "by Friday")),
        ("i send it tomorrow", "Ada Byron", "tomorrow", ("Ada Byron", "tomorrow")),
        ("somebody sends it soon", "Bashir", "Friday", (None, None)),
        ("somebody sends it soon", "", " ", (None, None)),
        ("somebody sends it", None, "immediately", (None, None)),
    ],
)
def test_an_owner_or_a_date_that_was_not_said_is_left_out(
    heard: str, owner: str | None, due: str | None, kept: tuple[str | None, str | None]
) -> None:
    task = Task(text="It is sent.", lines=(1,), owner=owner, due=due)
    action = Citations([line(1, heard)], PEOPLE, "en").action(task, within=range(1, 2))
    assert isinstance(action, Action)
    assert (action.owner, action.due) == kept


def test_a_title_may_have_capitals_but_no_other_persons_name() -> None:
    citations = Citations([line(1, "we talk of money")], PEOPLE, "en")
    assert citations.title("Talking Of Money", range(1, 2))
    assert not citations.title("Talking of Bashir", range(1, 2))
    assert not citations.title("500 euros", range(1, 2))
    assert not citations.title("", range(1, 2))


@given(st.text(max_size=60), st.text(max_size=60), st.sampled_from(["en", "fr", "de", "xx", ""]))
def test_any_text_is_read_without_an_error(heard: str, text: str, language: str) -> None:
    checked(heard, text, language=language)
