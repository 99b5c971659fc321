"""What a plugin publishes is checked here before it is kept or shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from pipelines.events import CaptionFinal, CaptionInterim, iso

_CAPTIONS: Final[Mapping[type, TypeAdapter[Any]]] = {
    kind: TypeAdapter(kind) for kind in (CaptionInterim, CaptionFinal)
}


def checked(caption: CaptionInterim | CaptionFinal) -> CaptionInterim | CaptionFinal:
    """Return the caption with lone surrogates replaced: no protocol carries them.

    Raises:
        ValueError: A field has a wrong type, or a time is none; the message quotes no speech.
    """
    values = {
        name: value.encode("utf-8", "replace").decode() if isinstance(value, str) else value
        for name, value in asdict(caption).items()
    }
    try:
        valid: CaptionInterim | CaptionFinal = _CAPTIONS[type(caption)].validate_python(values)
    except ValidationError as error:
        problem = error.errors(include_input=False)[0]
        raise ValueError(f"{problem['loc'][0]} of a caption: {problem['msg']}") from None
    for at in (valid.at, valid.end if isinstance(valid, CaptionFinal) else 0.0):
        iso(at)
    return valid
