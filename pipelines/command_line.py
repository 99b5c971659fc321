"""What our commands have in common: settings from the environment, and one way to say no."""

from __future__ import annotations

from typing import NoReturn

import typer
from rich.console import Console

from pipelines.errors import GreffierError
from pipelines.settings import Settings


def read_settings() -> Settings:
    """Return the settings of the environment; where they are wrong, say so and exit with 2."""
    try:
        return Settings.from_environment()
    except GreffierError as error:
        fail(str(error))


def fail(message: str) -> NoReturn:
    """Print an error to the standard error and exit with 2."""
    Console(stderr=True).print(f"[red]error:[/red] {message}", highlight=False, soft_wrap=True)
    raise typer.Exit(2)
