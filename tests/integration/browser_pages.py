"""Pages in headless browsers, driven by ``tests/node/browse.mjs``."""

from __future__ import annotations

import json
import subprocess
from typing import Any

from bench.child_process import ROOT


class BrowserPages:
    """One page, opened by whoever is named; its functions are called by name.

    Args:
        node: Path of Node.js.
        browser: Path of a Chromium.
        source: The page, below ``tests/node``.
    """

    def __init__(self, node: str, browser: str, source: str) -> None:
        scripts = ROOT / "tests/node"
        self._process = subprocess.Popen(
            [node, str(scripts / "browse.mjs"), browser, str(scripts / source)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        self._answer()

    def call(self, who: str, name: str, *arguments: Any) -> Any:
        """Call a function of somebody's page; ``reload`` loads it again.

        Raises:
            AssertionError: The function failed, or the browser has ended.
        """
        assert self._process.stdin
        self._process.stdin.write(json.dumps([who, name, *arguments]) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def close(self) -> None:
        """End the browsers."""
        self._process.communicate(timeout=30)

    def _answer(self) -> Any:
        assert self._process.stdout
        line = self._process.stdout.readline()
        assert line, "the browser has ended"
        answer = json.loads(line)
        assert "error" not in answer, answer["error"]
        return answer["result"]
