"""La Suite Meet's two agents: the names they are dispatched by, and what our worker is under each.

A profile is chosen by ``GREFFIER_PROFILE``, or by an agent name that is a profile's. It changes
defaults, and lets La Suite's own environment names speak where ours say nothing; whatever
``GREFFIER_...`` says wins.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Literal

from pipelines.errors import SettingsError

ProfileName = Literal["", "metadata-collector", "multi-user-transcriber"]

COLLECTOR: Final = "metadata-collector"
TRANSCRIBER: Final = "multi-user-transcriber"

DEEPGRAM_MODEL: Final = "nova-3"
DEEPGRAM_LANGUAGE: Final = "multi"
"""La Suite's defaults for its speech engine; ``multi`` lets Deepgram tell the language."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What differs from the plain worker.

    Args:
        defaults: Field of the settings -> its default here.
        variables: Field -> La Suite's environment variable for it; read where ours is not set.
        derived: Makes more fields of La Suite's environment; may raise SettingsError.
    """

    defaults: Mapping[str, Any]
    variables: Mapping[str, str]
    derived: Callable[[Mapping[str, str]], Mapping[str, Any]] = lambda _: {}


def profile_values(name: str, environment: Mapping[str, str]) -> dict[str, Any]:
    """Return what a profile makes of the environment: values for fields that have none of ours.

    Args:
        name: Of the profile; of none, there are no values.
        environment: The process's.

    Raises:
        SettingsError: A variable of La Suite's has a value that can't be served.
    """
    if (profile := PROFILES.get(name)) is None:
        return {}
    named = {
        field: environment[variable]
        for field, variable in profile.variables.items()
        if environment.get(variable)
    }
    return {"profile": name, **profile.defaults, **profile.derived(environment), **named}


def _speech_engine(environment: Mapping[str, str]) -> Mapping[str, Any]:
    """Read La Suite's choice of an engine: ``STT_PROVIDER`` and what belongs to it."""
    silero = environment.get("ENABLE_SILERO_VAD", "").lower() == "true"
    values = {"vad": "silero"} if silero else {}
    provider = environment.get("STT_PROVIDER", "")
    if provider == "kyutai":
        if "kyutai=" not in environment.get("GREFFIER_ENGINE_PLUGINS", ""):
            raise SettingsError(
                "STT_PROVIDER: kyutai is not in this image; install a LiveKit STT plugin for it "
                "and name it in GREFFIER_ENGINE_PLUGINS, as kyutai=module:Class, or set "
                "STT_PROVIDER=deepgram"
            )
        return {**values, "engine": "kyutai"}
    if provider not in ("", "deepgram"):
        raise SettingsError(f"STT_PROVIDER: no provider {provider!r}; there is deepgram")
    if not provider and not environment.get("DEEPGRAM_API_KEY"):
        return values  # Nothing of La Suite's is configured: our own default engine.
    model = environment.get("DEEPGRAM_STT_MODEL") or DEEPGRAM_MODEL
    language = environment.get("DEEPGRAM_STT_LANGUAGE") or DEEPGRAM_LANGUAGE
    return {**values, "engine": f"deepgram/{model}", "language": language}


PROFILES: Final[Mapping[str, Profile]] = MappingProxyType(
    {
        COLLECTOR: Profile(
            defaults={
                "agent_name": COLLECTOR,
                "display_name": "",
                "hidden": True,
                "listen_only": True,
                "default_agents": ("metadata",),
                "keep_chat": True,
                "s3_secure": False,
                "after": "off",
            },
            variables={"agent_name": "METADATA_COLLECTOR_AGENT_NAME"},
        ),
        TRANSCRIBER: Profile(
            defaults={
                "agent_name": TRANSCRIBER,
                "display_name": "",
                "hidden": True,
                "default_agents": ("transcriber",),
                "caption_formats": ("text-stream", "legacy"),
                "s3_secure": False,
                "after": "off",
            },
            variables={"agent_name": "TRANSCRIBER_AGENT_NAME"},
            derived=_speech_engine,
        ),
    }
)
