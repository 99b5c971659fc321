"""The worker as La Suite Meet's captions: ``multi_user_transcriber.py start``."""

from __future__ import annotations

import os

from worker import main

if __name__ == "__main__":
    os.environ["GREFFIER_PROFILE"] = "multi-user-transcriber"
    main()
