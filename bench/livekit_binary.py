"""The livekit-server program; ``python -m bench.livekit_binary`` gets it and prints its path."""

from __future__ import annotations

import sys
from typing import Final

from bench.go_program import GoProgram

LIVEKIT_SERVER: Final = GoProgram(
    name="livekit-server",
    version="1.13.5",  # from 1.13.6 on, `go install` refuses the module's `replace` lines
    package="github.com/livekit/livekit-server/cmd/server",
    minutes="1 to 3",
    how_else="Another way: put a `livekit-server` on PATH, from a release "
    "(https://github.com/livekit/livekit/releases), from `brew install livekit`, or copied out of "
    "the image livekit/livekit-server.",
)

if __name__ == "__main__":
    sys.exit(LIVEKIT_SERVER.main())
