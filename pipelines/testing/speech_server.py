"""The double of Deepgram and OpenAI as a process.

It prints its addresses as one line of JSON, and is told its faults over HTTP::

    python -m pipelines.testing.speech_server --port 8010
    curl -X POST localhost:8010/faults -d '{"kind": "cut", "after": 2, "times": 3}'
    curl localhost:8010/counts

``times`` below 0 is every request until ``{}`` takes all faults back. The fields of a fault are
those of :class:`pipelines.testing.faults.Fault`.
"""

from __future__ import annotations

import argparse
import asyncio
import json

from pipelines.testing.server import SpeechServer


async def _serve(options: argparse.Namespace) -> None:
    async with SpeechServer(
        key=options.key, interims=options.interims, settles=True, port=options.port
    ) as server:
        addresses = {"deepgram": server.deepgram_url, "openai": server.openai_url}
        print(json.dumps(addresses), flush=True)  # noqa: T201 - what a caller waits for
        await asyncio.Event().wait()


def main() -> None:
    """Run the server until it is stopped."""
    parser = argparse.ArgumentParser(prog="python -m pipelines.testing.speech_server")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--key", default="", help="the only key that is accepted")
    parser.add_argument(
        "--no-interims", dest="interims", action="store_false", help="finals only, which is faster"
    )
    try:
        asyncio.run(_serve(parser.parse_args()))
    except KeyboardInterrupt:
        return


if __name__ == "__main__":
    main()
