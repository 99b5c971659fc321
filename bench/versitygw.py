"""A real S3 server for tests and bench, that nothing outside this machine can reach."""

from __future__ import annotations

import secrets
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from botocore.config import Config  # type: ignore[import-untyped] # botocore has no types
from botocore.session import get_session  # type: ignore[import-untyped] # botocore has no types

from bench.child_process import ChildProcess
from bench.local_server import LocalServer
from bench.versitygw_binary import VERSITYGW


class VersityGateway(LocalServer):
    """One versitygw over a directory; a context manager. Its port stays the same for life.

    Args:
        directory: Takes the buckets and the log; a temporary one by default.
    """

    region = "us-east-1"

    def __init__(self, directory: Path | None = None) -> None:
        super().__init__(directory)
        self.access_key = f"key{secrets.token_hex(4)}"
        self.secret_key = secrets.token_hex(20)

    @property
    def endpoint(self) -> str:
        """Address for clients, ``http://127.0.0.1:port``."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def buckets(self) -> Path:
        """Directory with one directory a bucket; an object is a file at its key."""
        return self.directory / "buckets"

    def create_bucket(self, name: str) -> None:
        """Make an empty bucket; the server runs."""
        client: Any = get_session().create_client(
            "s3",
            endpoint_url=self.endpoint,
            region_name=self.region,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            config=Config(s3={"addressing_style": "path"}),
        )
        try:
            client.create_bucket(Bucket=name)
        finally:
            client.close()

    def _new_process(self) -> ChildProcess:
        binary = VERSITYGW.ensure()
        # versitygw refuses a sidecar that is relative or shares a prefix with the data.
        sidecar = self.directory / "metadata"
        for directory in (self.buckets, sidecar):
            directory.mkdir(parents=True, exist_ok=True)
        return ChildProcess(
            "versitygw",
            [
                *(str(binary), "--port", f"127.0.0.1:{self.port}", "--region", self.region),
                *("posix", "--sidecar", str(sidecar), str(self.buckets)),
            ],
            log=self.directory / "versitygw.log",
            env={"ROOT_ACCESS_KEY": self.access_key, "ROOT_SECRET_KEY": self.secret_key},
        )

    def _answers(self) -> bool:
        try:
            urllib.request.urlopen(self.endpoint, timeout=1).close()
        except urllib.error.HTTPError:
            return True  # it asks for a key
        except OSError:
            return False
        return True
