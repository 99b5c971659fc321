"""A language model behind OpenAI's chat completions, asked for one validated answer at a time."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from http import HTTPStatus
from typing import Any, Final, Self, TypeVar

import openai
from pydantic import BaseModel

from pipelines.errors import RetryableError, StepError
from pipelines.post_meeting.answers import parse, response_format
from pipelines.post_meeting.llm_settings import LLMSettings
from pipelines.post_meeting.windows import tokens
from pipelines.retry_after import seconds_to_wait
from prompts import Prompts

T = TypeVar("T", bound=BaseModel)

_REPAIR: Final = 400  # tokens that a second try's instructions may be longer
_FRAME: Final = 50  # tokens of the request that are neither message nor schema
_LONGEST_PROBLEM: Final = 400  # characters
_BY_SETTING: Final[dict[int, str]] = {
    HTTPStatus.UNAUTHORIZED: "check GREFFIER_LLM_API_KEY",
    HTTPStatus.FORBIDDEN: "check GREFFIER_LLM_API_KEY",
    HTTPStatus.NOT_FOUND: "check GREFFIER_LLM_MODEL and GREFFIER_LLM_BASE_URL",
}


class AnswerError(Exception):
    """The model answered twice, and neither answer can be used; the message says why."""


@asynccontextmanager
async def open_llm(settings: LLMSettings) -> AsyncIterator[LLM | None]:
    """Open the model that the settings name; None where they name none."""
    if not settings.llm_model:
        yield None
        return
    async with LLM(settings, Prompts(settings.prompts_dir)) as llm:
        yield llm


class LLM:
    """One model at one address; an async context manager.

    Args:
        settings: What is asked, and how.
        prompts: What it is told.
    """

    def __init__(self, settings: LLMSettings, prompts: Prompts) -> None:
        self.prompts = prompts
        self._settings = settings
        self._slots = asyncio.Semaphore(settings.llm_concurrency)
        self._undo = AsyncExitStack()
        self._client = openai.AsyncOpenAI(
            base_url=settings.llm_base_url or "https://api.openai.com/v1",
            api_key=settings.llm_api_key.get_secret_value() or "none",
            timeout=settings.llm_timeout,
            max_retries=settings.llm_retries,
        )

    async def __aenter__(self) -> Self:
        await self._undo.enter_async_context(self._client)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._undo.aclose()

    @property
    def model(self) -> str:
        """The model's name."""
        return self._settings.llm_model

    @property
    def template(self) -> str:
        """The template of summaries that are asked for without one."""
        return self._settings.summary_template

    def room(self, instructions: str, answer: type[BaseModel]) -> int:
        """Return how many tokens of material fit beside the instructions, by estimate."""
        schema = tokens(json.dumps(response_format(answer)))
        taken = tokens(instructions) + schema + self._settings.llm_answer_tokens
        return self._settings.llm_context_tokens - taken - _REPAIR - _FRAME

    async def ask(self, instructions: str, material: str, answer: type[T]) -> T:
        """Ask for an answer; where it can't be used, once more, saying why.

        Raises:
            AnswerError: Neither answer can be used, or the model will not answer.
            RetryableError: The server is not there, hangs, fails or puts us off.
            StepError: It refuses our key, the model or the request.
        """
        problem = ""
        for again in (False, True):
            asked = instructions
            if again:
                told = problem[:_LONGEST_PROBLEM]
                asked += "\n" + self.prompts.render("summary/repair", problem=told)
            try:
                return parse(await self._complete(asked, material, answer), answer)
            except ValueError as error:
                problem = str(error)
        raise AnswerError(problem)

    async def _complete(self, instructions: str, material: str, answer: type[BaseModel]) -> str:
        """Return the model's words.

        Raises:
            ValueError: It has none, or not all of them.
        """
        messages: list[Any] = [
            {"role": "system", "content": instructions},
            {"role": "user", "content": material},
        ]
        try:
            async with self._slots:
                completion = await self._client.chat.completions.create(
                    model=self._settings.llm_model,
                    messages=messages,
                    max_completion_tokens=self._settings.llm_answer_tokens,
                    **self._output(answer),
                )
        except openai.APIStatusError as error:
            raise _named(error) from None  # the server's words may hold part of a key
        except openai.APIConnectionError as error:
            slow = isinstance(error, openai.APITimeoutError)
            what = "did not answer in time" if slow else "can't be reached"
            raise RetryableError("llm_unavailable", f"the model's server {what}") from None
        except (openai.OpenAIError, ValueError):
            raise ValueError("it can't be read") from None
        return _words(completion)

    def _output(self, answer: type[BaseModel]) -> dict[str, Any]:
        match self._settings.llm_output:
            case "json_schema":
                return {"response_format": response_format(answer)}
            case "json_object":
                return {"response_format": {"type": "json_object"}}
            case "text":
                return {}


def _words(completion: Any) -> str:
    choices = getattr(completion, "choices", None)  # a server's JSON may be of any shape
    if not choices or choices[0].message is None:
        raise ValueError("it can't be read")
    choice = choices[0]
    if getattr(choice.message, "refusal", None) or choice.finish_reason == "content_filter":
        raise ValueError("there was none")
    if choice.finish_reason == "length":
        raise ValueError("it was too long and was cut off")
    if not isinstance(choice.message.content, str):
        raise ValueError("it was empty")  # noqa: TRY004 - a wrong answer, not our mistake
    return choice.message.content


def _named(error: openai.APIStatusError) -> StepError:
    status = error.status_code
    if status in (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.CONFLICT, HTTPStatus.TOO_MANY_REQUESTS):
        after = seconds_to_wait(error.response.headers.get("retry-after", ""), now=time.time())
        what = f"the model's server says HTTP {status}"
        return RetryableError("llm_busy", what, after=after or 0.0)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return RetryableError("llm_unavailable", f"the model's server says HTTP {status}")
    if error.code == "context_length_exceeded" or "context length" in error.message:
        return StepError("llm_context", "the model reads less: lower GREFFIER_LLM_CONTEXT_TOKENS")
    advice = _BY_SETTING.get(status, "check GREFFIER_LLM_OUTPUT, and the server's log")
    return StepError("llm_refused", f"the model's server says HTTP {status}: {advice}")
