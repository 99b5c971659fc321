"""The language model that the assistant asks: any server that speaks OpenAI's protocol."""

from __future__ import annotations

from typing import Any, Final

from livekit.agents import llm
from livekit.plugins import openai

from pipelines.post_meeting.llm_settings import LLMSettings

RETRIES: Final = 2
"""How often a request that failed or was put off is sent again: somebody waits for the answer."""


def open_model(settings: LLMSettings) -> llm.LLM[Any] | None:
    """Return the model that the settings name, to be closed by whoever uses it; or None."""
    if not settings.llm_model:
        return None
    return openai.LLM(
        model=settings.llm_model,
        base_url=settings.llm_base_url or "https://api.openai.com/v1",
        api_key=settings.llm_api_key.get_secret_value() or "none",
        max_retries=min(settings.llm_retries, RETRIES),
        max_completion_tokens=settings.llm_answer_tokens,
    )
