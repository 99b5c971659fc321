"""The prompts, and the loader that fills them in."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.post_meeting.templates import DEFAULT, FOLDER, choose_template
from prompts import PromptError, Prompts

VALUES = {
    "assistant": {"called": "Iris", "instructions": "Be brief."},
    "summary/notes": {"template": "WHAT MATTERS", "language": "French (fr)"},
    "summary/overview": {"template": "WHAT MATTERS", "language": "French (fr)", "statements": "8"},
    "summary/repair": {"problem": "it holds no JSON object"},
    **{f"{FOLDER}/{name}": {} for name in ("decisions", "general", "interview", "stand-up")},
}


@pytest.fixture
def own(tmp_path: Path) -> Path:
    (tmp_path / FOLDER).mkdir(parents=True)
    return tmp_path


def test_every_prompt_is_known_here() -> None:
    root = Path(__file__).parents[2] / "prompts"
    there = {str(it.relative_to(root).with_suffix("")) for it in root.rglob("*.md")}
    assert there == VALUES.keys()


@pytest.mark.parametrize(("name", "values"), VALUES.items())
def test_a_prompt_holds_the_values_it_is_given(name: str, values: dict[str, str]) -> None:
    text = Prompts().render(name, **values)
    assert all(value in text for value in values.values())
    assert "$" not in text


def test_a_value_is_not_read_as_a_prompt() -> None:
    assert "$language" in Prompts().render("summary/repair", problem="$language")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"template": "t"}, r"notes.md names \$language, which it is not given"),
        (
            {"template": "t", "language": "fr", "mood": "sad"},
            r"notes.md must name \$mood: it would be left out",
        ),
    ],
)
def test_a_missing_or_unknown_value_is_refused(values: dict[str, str], message: str) -> None:
    with pytest.raises(PromptError, match=message):
        Prompts().render("summary/notes", **values)


@pytest.mark.parametrize("name", ["summary/none", "../pyproject", "/etc/hosts", "Summary", ""])
def test_only_a_prompt_that_there_is_can_be_named(name: str) -> None:
    with pytest.raises(PromptError):
        Prompts().render(name)


def test_no_file_outside_the_directory_can_be_named(own: Path) -> None:
    (own / "secret.md").write_text("secret", encoding="utf-8")
    with pytest.raises(PromptError, match="is no name of a prompt"):
        Prompts(own / "summary").render("../secret")


def test_a_file_of_the_operators_goes_before_ours(own: Path) -> None:
    (own / "summary" / "repair.md").write_text("Encore : $problem", encoding="utf-8")
    assert Prompts(own).render("summary/repair", problem="non") == "Encore : non\n"
    assert Prompts(own).render(f"{FOLDER}/general")


def test_a_dollar_sign_is_written_twice(own: Path) -> None:
    (own / FOLDER / "sales.md").write_text("Deals over $$5,000", encoding="utf-8")
    (own / FOLDER / "bad.md").write_text("Deals over $5,000", encoding="utf-8")
    assert Prompts(own).render(f"{FOLDER}/sales") == "Deals over $5,000\n"
    with pytest.raises(PromptError, match=r"write \$\$"):
        Prompts(own).render(f"{FOLDER}/bad")


def test_a_file_that_is_no_text_is_named(own: Path) -> None:
    (own / FOLDER / "bad.md").write_bytes(b"\xff\xfe")
    with pytest.raises(PromptError, match=r"bad.md can't be read: UnicodeDecodeError"):
        Prompts(own).render(f"{FOLDER}/bad")


def test_a_template_of_the_operators_own_can_be_chosen(own: Path) -> None:
    (own / FOLDER / "sales.md").write_text("Deals", encoding="utf-8")
    assert choose_template(Prompts(own), "sales") == "sales"


@pytest.mark.parametrize("wanted", ["none", "", "../general", "general.md"])
def test_the_settings_template_stands_in_for_one_that_there_is_not(wanted: str) -> None:
    assert choose_template(Prompts(), wanted, "interview") == "interview"
    assert choose_template(Prompts(), wanted, "none") == DEFAULT
