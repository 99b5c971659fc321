"""A real S3 server for tests and bench, that nothing outside this machine can reach."""

from __future__ import annotations

import secrets
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from botocore.config import Config  # type: ignore[import-untyped] # botocore has no types
from botocore.session import get_session  # type: ignore[import-untyped] # botocore has no types

from bench.child_process import ChildError, ChildProcess
from bench.livekit_server import free_port
from bench.versitygw_binary import VERSITYGW

_READY_TIMEOUT = 15.0  # seconds; it takes 0.05 on an idle machine
_ATTEMPTS = 3  # another process may take a free port before the server binds it


class VersityGateway:
    """One versitygw over a directory; a context manager. Its port stays the same for life.

    Args:
        directory: Takes the buckets and the log; a temporary one by default.
    """

    region = "us-east-1"

    def __init__(self, directory: Path | None = None) -> None:
        self._temporary = tempfile.TemporaryDirectory(prefix="s3-") if not directory else None
        self.directory = (
            directory or Path(self._temporary.name if self._temporary else "")
        ).resolve()
        self.access_key = f"key{secrets.token_hex(4)}"
        self.secret_key = secrets.token_hex(20)
        self.port = 0
        self._process: ChildProcess | None = None

    @property
    def endpoint(self) -> str:
        """Address for clients, ``http://127.0.0.1:port``."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def buckets(self) -> Path:
        """Directory with one directory a bucket; an object is a file at its key."""
        return self.directory / "buckets"

    def start(self) -> Self:
        """Start it and wait until it answers; after the first time, on the same port and data.

        Raises:
            ProgramMissingError: There is no program and it could not be built.
            ChildError: It does not become ready.
        """
        if self._process is not None:
            self._begin(self._process)
            return self
        binary = VERSITYGW.ensure()
        for attempt in range(1, _ATTEMPTS + 1):
            self.port = free_port()
            self._process = self._new_process(binary)
            try:
                self._begin(self._process)
            except ChildError:
                if attempt == _ATTEMPTS or "address already in use" not in self._process.output():
                    raise
            else:
                break
        return self

    def stop(self) -> None:
        """End it in good order; :meth:`start` brings it back with its data."""
        if self._process is not None:
            self._process.stop(timeout=5)

    def kill(self) -> None:
        """End it with SIGKILL; :meth:`start` brings it back with its data."""
        if self._process is None:
            raise ChildError("versitygw is not started")
        self._process.kill()

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

    def _new_process(self, binary: Path) -> ChildProcess:
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

    def _begin(self, process: ChildProcess) -> None:
        process.start()
        deadline = time.monotonic() + _READY_TIMEOUT
        while not self._answers():
            if not process.running or time.monotonic() > deadline:
                process.kill()
                raise process.error("did not become ready")
            time.sleep(0.02)

    def _answers(self) -> bool:
        try:
            urllib.request.urlopen(self.endpoint, timeout=1).close()
        except urllib.error.HTTPError:
            return True  # it asks for a key
        except OSError:
            return False
        return True

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self._remove()
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._remove()

    def _remove(self) -> None:
        self.stop()
        if self._temporary is not None:
            self._temporary.cleanup()
