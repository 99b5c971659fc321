"""The worker as La Suite Meet's metadata collector: ``metadata_collector.py start``."""

from __future__ import annotations

import os

from worker import main

if __name__ == "__main__":
    os.environ["GREFFIER_PROFILE"] = "metadata-collector"
    main()
