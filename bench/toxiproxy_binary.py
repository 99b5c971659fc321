"""The toxiproxy program; ``python -m bench.toxiproxy_binary`` gets it and prints its path."""

from __future__ import annotations

import sys
from typing import Final

from bench.go_program import GoProgram

TOXIPROXY: Final = GoProgram(
    name="toxiproxy-server",
    version="2.5.0",
    package="github.com/Shopify/toxiproxy/v2/cmd/server",
    minutes="less than 1",
    how_else="Another way: put a `toxiproxy-server` on PATH, from a release "
    "(https://github.com/Shopify/toxiproxy/releases) or copied out of the image "
    "ghcr.io/shopify/toxiproxy.",
)

if __name__ == "__main__":
    sys.exit(TOXIPROXY.main())
