"""The few words of the minutes that nobody said, in the languages of La Suite Meet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pipelines.events import HoleCause


@dataclass(frozen=True, slots=True)
class Words:
    """Headings and phrases of one language.

    Args:
        language: BCP 47 primary subtag.
        until: Between two moments.
        due: Before the moment until which something is to be done.
        extractive: Tells that no model wrote the summary.
        model: Tells that one did; ``{model}`` is its name.
        nothing: Stands where there is no summary because nothing was said.
        recorded: Marks a line that the live captions lack and the recording has.
        corrected: Marks a line that a person corrected.
        unheard: Stands where anybody's speech may be missing; ``{seconds}`` of it.
        unheard_of: The same for the speech of ``{names}`` only.
        causes: Why, by the cause of the hole.
    """

    language: str
    minutes: str
    participants: str
    overview: str
    decisions: str
    actions: str
    questions: str
    notes: str
    transcript: str
    until: str
    due: str
    extractive: str
    model: str
    nothing: str
    recorded: str
    corrected: str
    unheard: str
    unheard_of: str
    causes: Mapping[str, str]


_ENGLISH: Final = Words(
    language="en",
    minutes="Minutes",
    participants="Participants",
    overview="Overview",
    decisions="Decisions",
    actions="Action items",
    questions="Open questions",
    notes="Notes",
    transcript="Transcript",
    until="to",
    due="due",
    extractive="Chosen from the transcript word for word; no language model was asked.",
    model="Summarised by {model}. Each statement links to the lines it was made from.",
    nothing="Nothing was said.",
    recorded="from the recording",
    corrected="corrected",
    unheard="not heard for {seconds} s",
    unheard_of="{names} not heard for {seconds} s",
    causes={
        HoleCause.RESTART: "the agent was restarted",
        HoleCause.ENGINE: "the speech engine did not answer",
        HoleCause.NETWORK: "no audio came",
    },
)

_WORDS: Final[Mapping[str, Words]] = {
    "en": _ENGLISH,
    "fr": Words(
        language="fr",
        minutes="Compte rendu",
        participants="Participants",
        overview="Vue d'ensemble",
        decisions="Décisions",
        actions="Actions à mener",
        questions="Questions ouvertes",
        notes="Notes",
        transcript="Transcription",
        until="à",
        due="échéance",
        extractive="Extraits de la transcription, mot pour mot, sans modèle de langage.",
        model="Résumé par {model}. Chaque énoncé renvoie aux lignes dont il est tiré.",
        nothing="Rien n'a été dit.",
        recorded="d'après l'enregistrement",
        corrected="corrigé",
        unheard="rien entendu pendant {seconds} s",
        unheard_of="{names} : rien entendu pendant {seconds} s",
        causes={
            HoleCause.RESTART: "l'agent a redémarré",
            HoleCause.ENGINE: "le moteur vocal n'a pas répondu",
            HoleCause.NETWORK: "aucun son n'est arrivé",
        },
    ),
    "de": Words(
        language="de",
        minutes="Protokoll",
        participants="Teilnehmende",
        overview="Überblick",
        decisions="Beschlüsse",
        actions="Aufgaben",
        questions="Offene Fragen",
        notes="Notizen",
        transcript="Mitschrift",
        until="bis",
        due="fällig",
        extractive="Wörtlich der Mitschrift entnommen, ohne Sprachmodell.",
        model="Zusammengefasst von {model}. Jede Aussage verweist auf ihre Zeilen.",
        nothing="Es wurde nichts gesagt.",
        recorded="aus der Aufnahme",
        corrected="berichtigt",
        unheard="{seconds} s nicht gehört",
        unheard_of="{names}: {seconds} s nicht gehört",
        causes={
            HoleCause.RESTART: "der Agent wurde neu gestartet",
            HoleCause.ENGINE: "die Spracherkennung hat nicht geantwortet",
            HoleCause.NETWORK: "es kam kein Ton an",
        },
    ),
    "nl": Words(
        language="nl",
        minutes="Notulen",
        participants="Deelnemers",
        overview="Overzicht",
        decisions="Besluiten",
        actions="Actiepunten",
        questions="Open vragen",
        notes="Notities",
        transcript="Transcriptie",
        until="tot",
        due="uiterlijk",
        extractive="Woordelijk uit de transcriptie gekozen, zonder taalmodel.",
        model="Samengevat door {model}. Elke uitspraak verwijst naar haar regels.",
        nothing="Er is niets gezegd.",
        recorded="uit de opname",
        corrected="gecorrigeerd",
        unheard="{seconds} s niet gehoord",
        unheard_of="{names}: {seconds} s niet gehoord",
        causes={
            HoleCause.RESTART: "de agent is herstart",
            HoleCause.ENGINE: "de spraakherkenning gaf geen antwoord",
            HoleCause.NETWORK: "er kwam geen geluid binnen",
        },
    ),
}


def words_of(language: str) -> Words:
    """Return the words of a BCP 47 tag's language; English where there are none."""
    return _WORDS.get(language.partition("-")[0].lower(), _ENGLISH)
