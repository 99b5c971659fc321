"""The versitygw program; ``python -m bench.versitygw_binary`` gets it and prints its path."""

from __future__ import annotations

import sys
from typing import Final

from bench.go_program import GoProgram

VERSITYGW: Final = GoProgram(
    name="versitygw",
    version="1.8.0",
    package="github.com/versity/versitygw/cmd/versitygw",
    minutes="1 to 3",
    how_else="Another way: put a `versitygw` on PATH, from a release "
    "(https://github.com/versity/versitygw/releases) or copied out of the image versity/versitygw.",
)

if __name__ == "__main__":
    sys.exit(VERSITYGW.main())
