"""``python -m pipelines.webhooks``: serve the receiver of LiveKit's webhooks."""

from __future__ import annotations

import logging
import sys

import uvicorn

from pipelines.errors import SettingsError
from pipelines.settings import Settings
from pipelines.webhooks.receiver import create_app


def main() -> None:
    """Serve until SIGTERM; a wrong setting is told and ends it."""
    try:
        settings = Settings.from_environment()
        app = create_app(settings)
    except SettingsError as error:
        sys.exit(str(error))
    logging.basicConfig(
        level=settings.log_level, format="%(asctime)s %(levelname)s %(name)s %(message)s"
    )
    # uvicorn's own access log would add a line with every address.
    uvicorn.run(
        app,
        host=settings.webhook_host,
        port=settings.webhook_port,
        log_config=None,
        access_log=False,
    )


if __name__ == "__main__":
    main()
