"""Which engines may be used, and what they are made with."""

from __future__ import annotations

import importlib.util
import inspect
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from livekit.agents import APIConnectionError, APIStatusError, APITimeoutError

from pipelines.errors import EngineError, EngineNotAllowedError, SettingsError
from pipelines.settings import Settings
from pipelines.speech.engine_failure import failure
from pipelines.speech.engines import Engines
from pipelines.speech.key_terms import key_terms_for

SECRET = "sk-a-key-that-nobody-may-see"

MakeEngines = Callable[..., Engines]


@pytest.fixture
async def make() -> AsyncIterator[MakeEngines]:
    made: list[Engines] = []

    def with_settings(**settings: Any) -> Engines:
        made.append(Engines(Settings(**settings)))
        return made[-1]

    yield with_settings
    for engines in made:
        await engines.aclose()


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"deepgram_api_key": "d", "openai_api_key": "o"}, "deepgram"),
        ({"openai_api_key": "o"}, "openai"),
        ({"openai_base_url": "http://127.0.0.1:1/v1"}, "openai"),
        ({}, "pocketsphinx"),
        ({"deepgram_api_key": "d", "allowed_engines": ("pocketsphinx",)}, "pocketsphinx"),
        ({"deepgram_api_key": "d", "allowed_engines": ("deepgram/nova-2",)}, "deepgram/nova-2"),
    ],
)
async def test_auto_takes_what_has_a_key_then_what_runs_here_without_a_download(
    make: MakeEngines, settings: dict[str, Any], expected: str
) -> None:
    assert make(**settings).resolve("auto") == expected


async def test_auto_says_what_to_do_where_nothing_can_be_used(make: MakeEngines) -> None:
    with pytest.raises(EngineError, match=r"set DEEPGRAM_API_KEY .*greffier\[pocketsphinx\]"):
        make(allowed_engines=("deepgram", "moonshine")).resolve("auto")


async def test_an_empty_name_is_the_engine_of_the_settings(make: MakeEngines) -> None:
    assert make(engine="pocketsphinx/en-us").resolve("") == "pocketsphinx/en-us"


async def test_the_engine_of_the_settings_needs_no_second_permission(make: MakeEngines) -> None:
    engines = make(engine="pocketsphinx/en-us", allowed_engines=("deepgram",))
    assert engines.resolve("") == "pocketsphinx/en-us"


async def test_a_name_that_is_not_allowed_is_answered_with_those_that_are(
    make: MakeEngines,
) -> None:
    engines = make(allowed_engines=("openai/whisper-1", "pocketsphinx"))
    with pytest.raises(EngineNotAllowedError, match=r"openai/whisper-1, pocketsphinx"):
        engines.resolve("openai/gpt-4o-transcribe")


@pytest.mark.parametrize(
    "name",
    [
        "pipelines.testing:EchoSTT",
        "evil=os:system",
        "os.path",
        "pocketsphinx:EchoSTT",
        "pocketsphinx/../../etc",
        "pocketsphinx//etc",
        "http://elsewhere/v1",
        "Pocketsphinx",
        "pocketsphinx\n",
    ],
)
async def test_metadata_can_not_smuggle_in_a_path(make: MakeEngines, name: str) -> None:
    with pytest.raises(EngineNotAllowedError):
        make(engine_plugins=("echo=pipelines.testing:EchoSTT",)).resolve(name)


async def test_a_missing_key_is_named(make: MakeEngines) -> None:
    with pytest.raises(EngineError, match="set DEEPGRAM_API_KEY"):
        make().resolve("deepgram/nova-3")
    with pytest.raises(EngineError, match="set OPENAI_API_KEY or GREFFIER_OPENAI_BASE_URL"):
        make().resolve("openai")


async def test_a_missing_package_is_named(
    make: MakeEngines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(EngineError, match=r"pip install 'greffier\[moonshine\]'"):
        make().resolve("moonshine/base")
    with pytest.raises(EngineError, match="pip install livekit-plugins-gladia"):
        make(allowed_engines=("gladia",)).resolve("gladia/solaria")


async def test_an_engine_of_the_operators_is_used_by_its_name(make: MakeEngines) -> None:
    engines = make(engine="echo", engine_plugins=("echo=pipelines.testing:EchoSTT",))
    assert engines.recognizer().name == "echo"


@pytest.mark.parametrize("entry", ["echo", "echo=pipelines.testing", "e/c=m:C", "=m:C", "e=m:1"])
def test_a_broken_entry_of_engine_plugins_names_the_variable(entry: str) -> None:
    with pytest.raises(SettingsError, match="GREFFIER_ENGINE_PLUGINS"):
        Engines(Settings(engine_plugins=(entry,)))


async def test_an_import_path_that_leads_nowhere_is_an_engine_error(make: MakeEngines) -> None:
    engines = make(engine_plugins=("gone=pipelines.testing:Gone",))
    with pytest.raises(EngineError, match=r"gone.*can't import"):
        engines.recognizer("gone")


async def test_a_recognizer_is_made_once_for_each_language_and_set_of_key_terms(
    make: MakeEngines,
) -> None:
    engines = make(openai_api_key=SECRET)
    one = engines.recognizer("openai", language="fr")
    assert engines.recognizer("openai", language="fr") is one
    assert engines.recognizer("openai", language="en") is not one
    assert engines.recognizer("openai", language="fr", key_terms=["Ada"]) is not one


async def test_key_terms_make_no_second_recognizer_of_an_engine_that_takes_none(
    make: MakeEngines,
) -> None:
    engines = make()
    one = engines.recognizer("pocketsphinx")
    assert engines.recognizer("pocketsphinx", key_terms=["Ada"]) is one


async def test_a_name_without_a_model_is_completed_with_the_engines_default(
    make: MakeEngines,
) -> None:
    engines = make(deepgram_api_key=SECRET, openai_api_key=SECRET)
    assert engines.recognizer("deepgram").name == "deepgram/nova-3"
    assert engines.recognizer("openai").name == "openai/gpt-4o-mini-transcribe"
    assert engines.recognizer("pocketsphinx").name == "pocketsphinx/en-us"


async def test_pocketsphinx_says_what_to_do_about_another_language(make: MakeEngines) -> None:
    with pytest.raises(EngineError, match=r"English only, not 'fr'.*GREFFIER_ENGINE"):
        make().recognizer("pocketsphinx", language="fr")
    assert make().recognizer("pocketsphinx", language="en-GB").name == "pocketsphinx/en-us"


async def test_what_an_engine_refuses_is_told_without_its_arguments(
    make: MakeEngines, monkeypatch: pytest.MonkeyPatch
) -> None:
    from livekit.plugins import deepgram  # noqa: PLC0415

    def refuse(*, api_key: str, model: str) -> None:
        raise ValueError(f"{api_key} can't have {model}")

    monkeypatch.setattr(deepgram, "STT", refuse)
    with pytest.raises(EngineError, match=r"deepgram/nova-9.*ValueError") as caught:
        make(deepgram_api_key=SECRET).recognizer("deepgram/nova-9")
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("provider", "model", "expected"),
    [
        ("deepgram", "nova-3", {"keyterm": ["Ada", "Greffier"]}),
        ("deepgram", "nova-2", {"keywords": [("Ada", 1.0), ("Greffier", 1.0)]}),
        ("openai", "whisper-1", {"prompt": "Ada, Greffier"}),
        ("openai", "gpt-transcribe", {"keywords": ["Ada", "Greffier"]}),
        ("faster-whisper", "small", {"key_terms": ("Ada", "Greffier")}),
        ("pocketsphinx", "en-us", {}),
    ],
)
def test_each_engine_is_told_key_terms_in_its_own_way(
    provider: str, model: str, expected: dict[str, Any]
) -> None:
    accepted = {"key_terms"} if provider == "faster-whisper" else set[str]()
    assert key_terms_for(provider, model, ["Ada", "Greffier"], accepted) == expected


def test_key_terms_past_what_a_provider_takes_are_left_out_whole() -> None:
    terms = [f"term-number-{n}" for n in range(500)]
    assert key_terms_for("deepgram", "nova-3", terms, ())["keyterm"] == terms[:100]
    prompt = key_terms_for("openai", "whisper-1", terms, ())["prompt"]
    assert len(prompt) <= 800
    assert set(prompt.split(", ")) <= set(terms)


def test_the_arguments_that_we_give_exist_in_the_plugins() -> None:
    from livekit.plugins import deepgram, openai  # noqa: PLC0415

    ours = {"model", "language", "api_key", "base_url"}
    assert ours | {"keyterm", "keywords", "http_session"} <= set(
        inspect.signature(deepgram.STT).parameters
    )
    assert ours | {"prompt", "keywords", "detect_language"} <= set(
        inspect.signature(openai.STT).parameters
    )


def _wrapped(error: Exception) -> Exception:
    outer = APIConnectionError("failed to recognize speech after 3 attempts")
    outer.__cause__ = error
    return outer


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (
            APIStatusError(f"Incorrect API key {SECRET}", status_code=401, body={"k": SECRET}),
            "openai/x refused the key (HTTP 401); check OPENAI_API_KEY",
        ),
        (
            _wrapped(APIStatusError(SECRET, status_code=503)),
            "openai/x answered HTTP 503 Service Unavailable",
        ),
        (APIStatusError(SECRET, status_code=1011), "openai/x closed the connection (code 1011)"),
        (_wrapped(APITimeoutError()), "openai/x did not answer in time"),
        (_wrapped(ConnectionRefusedError(SECRET)), "openai/x can't be reached"),
        (_wrapped(ValueError(SECRET)), "openai/x sent an answer that can't be read"),
        (KeyError(SECRET), "openai/x failed for a reason that the log tells"),
        (EngineError("its process died"), "openai/x failed: its process died"),
    ],
)
def test_a_failure_names_the_engine_and_the_cause_and_no_secret(
    error: Exception, expected: str
) -> None:
    message = str(failure("openai/x", error, "check OPENAI_API_KEY"))
    assert message.startswith(expected)
    assert SECRET not in message


async def test_an_engine_has_the_fallback_if_that_understands_the_language(
    make: MakeEngines,
) -> None:
    engines = make(deepgram_api_key="d", fallback_engine="pocketsphinx/en-us")
    assert engines.recognizer("deepgram/nova-3", language="fr").fallback is None
    recognizer = engines.recognizer("deepgram/nova-3", language="en")
    assert recognizer.fallback is not None
    assert recognizer.fallback.name == "pocketsphinx/en-us"
    assert engines.recognizer("pocketsphinx/en-us").fallback is None


@pytest.mark.parametrize(
    ("name", "problem"),
    [("gladia/solaria", "is not allowed here"), ("deepgram", "set DEEPGRAM_API_KEY")],
)
def test_a_fallback_that_can_not_be_used_stops_the_start_and_names_the_variable(
    name: str, problem: str
) -> None:
    with pytest.raises(SettingsError, match=f"GREFFIER_FALLBACK_ENGINE: .*{problem}"):
        Engines(Settings(fallback_engine=name))


async def test_languages_and_key_terms_of_one_engine_share_its_circuit(make: MakeEngines) -> None:
    engines = make(deepgram_api_key="d")
    french = engines.recognizer("deepgram/nova-3", language="fr")
    english = engines.recognizer("deepgram/nova-3", language="en", key_terms=["Ada"])
    french.breaker.refused("no")
    assert french is not english
    assert english.breaker.reason == "no"
    engines.forgive()
    assert english.breaker.wait(0.0) == 0.0


async def test_options_reach_the_engines_that_have_them_and_the_others_say_so(
    make: MakeEngines,
) -> None:
    engines = make(deepgram_api_key="d", openai_api_key="o")
    asked = {"numerals": True, "profanityFilter": True, "fillerWords": False}
    deepgram = engines.recognizer("deepgram", options=asked)
    told: Any = deepgram._engine
    assert (told._opts.numerals, told._opts.profanity_filter) == (True, True)
    assert told._opts.filler_words is False
    assert deepgram.ignored == ()
    ignored = engines.recognizer("openai", options=asked).ignored
    assert ignored == ("fillerWords", "numerals", "profanityFilter")
