"""How each engine is told the words that it should know."""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import Any, Final

DEEPGRAM_TERMS: Final = 100
"""Deepgram takes no more key terms in a request."""
PROMPT_LENGTH: Final = 800
"""Characters of a prompt: Whisper reads the last 224 tokens of one."""


def key_terms_for(
    provider: str, model: str, terms: Sequence[str], accepted: Container[str]
) -> dict[str, Any]:
    """Return the arguments that give ``terms`` to an engine's constructor; empty if it takes none.

    Args:
        provider: First part of the engine's name.
        model: Its model.
        terms: Words and names, the most important first.
        accepted: Names of the constructor's parameters.
    """
    if provider == "deepgram":
        first = list(terms[:DEEPGRAM_TERMS])
        if model.startswith("nova-3"):
            return {"keyterm": first}
        return {"keywords": [(term, 1.0) for term in first]}
    if provider == "openai":
        if model.startswith(("gpt-transcribe", "gpt-live-transcribe")):
            return {"keywords": list(terms)}
        return {"prompt": _prompt(terms)}
    return {"key_terms": tuple(terms)} if "key_terms" in accepted else {}


def _prompt(terms: Sequence[str]) -> str:
    prompt = ""
    for term in terms:
        longer = f"{prompt}, {term}" if prompt else term
        if len(longer) > PROMPT_LENGTH:
            break
        prompt = longer
    return prompt
