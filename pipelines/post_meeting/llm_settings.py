"""The settings of the language model, if any, and of the summaries that it is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, Field, SecretStr, model_validator

OutputName = Literal["json_schema", "json_object", "text"]


class LLMSettings(BaseModel):
    """A part of :class:`pipelines.settings.Settings`."""

    llm_model: str = Field(
        default="",
        max_length=200,
        description="Model that writes summaries, and that the assistant asks; empty asks none, "
        "and summaries are extractive.",
    )
    llm_base_url: str = Field(
        default="",
        pattern=r"^(https?://[^@\s]+)?$",
        description="Any server that speaks OpenAI's chat completions, up to `/v1`; empty is "
        "OpenAI.",
    )
    llm_api_key: SecretStr = Field(
        default=SecretStr(""), description="Its key; a local server may need none."
    )
    llm_context_tokens: int = Field(
        default=8000,
        ge=4000,
        description="What the model reads and writes at once, in tokens. Set it no higher than the "
        "server's own: Ollama's `num_ctx`, vLLM's `--max-model-len`.",
    )
    llm_answer_tokens: int = Field(
        default=1600,
        ge=500,
        description="Tokens that one answer may take, of those; several times as many for a model "
        "that thinks before it answers.",
    )
    llm_output: OutputName = Field(
        default="json_schema",
        description="How the server is told to answer in JSON: `json_schema`, `json_object`, or "
        "`text` for one that knows neither.",
    )
    llm_concurrency: int = Field(
        default=8, ge=1, le=256, description="Requests to the model at the same time."
    )
    llm_timeout: float = Field(
        default=120.0, gt=0, description="Seconds that the model may take for one answer."
    )
    llm_retries: int = Field(
        default=4,
        ge=0,
        le=10,
        description="How often a request is sent again that failed or was put off (429, 5xx, no "
        "answer in time), before the summary is put off.",
    )
    summary_template: str = Field(
        default="general",
        description="Template of summaries where the room's metadata names none: `general`, "
        "`decisions`, `stand-up`, `interview`, or one of your own.",
    )
    prompts_dir: Path | None = Field(
        default=None,
        description="Directory of your own prompts, laid out as `prompts/` is; a file in it goes "
        "before ours. Your own templates are `summary/templates/<name>.md`.",
    )

    @model_validator(mode="after")
    def _can_ask(self) -> Self:
        if self.llm_model and not self.llm_base_url and not self.llm_api_key.get_secret_value():
            raise ValueError(
                "GREFFIER_LLM_MODEL needs GREFFIER_LLM_API_KEY, or GREFFIER_LLM_BASE_URL of a "
                "server that needs no key"
            )
        if self.llm_answer_tokens * 2 > self.llm_context_tokens:
            raise ValueError(
                "GREFFIER_LLM_ANSWER_TOKENS is more than half of GREFFIER_LLM_CONTEXT_TOKENS: "
                "nothing could be read"
            )
        return self
