"""One bucket of an S3 server, and what its refusals mean to an operator."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import AsyncExitStack, contextmanager
from functools import cache
from http import HTTPStatus
from typing import Any, Final

import aiohttp

# aiobotocore and botocore have no types, and the stubs of others are 40 times the size of what is
# used here: a client is Any, and no Any leaves this file.
from aiobotocore.config import AioConfig  # type: ignore[import-untyped]
from aiobotocore.session import AioSession  # type: ignore[import-untyped]
from botocore.exceptions import (  # type: ignore[import-untyped]
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
)
from botocore.loaders import create_loader  # type: ignore[import-untyped]

from pipelines.errors import StoreError, StoreRefusedError
from pipelines.transcript.stores.s3_access import S3Place

CONCURRENCY: Final = 16
"""Requests that are under way at once."""

PAGE: Final = 1_000
"""Keys that one answer lists; S3's own limit."""

_LINES: Final = "application/x-ndjson"

_CONNECT_TIMEOUT: Final = 3.0  # seconds; the caller's own time-out is longer (store_timeout)
_READ_TIMEOUT: Final = 9.0  # seconds between two pieces of an answer

_PROBE: Final = ".if-none-match"
_PROBE_BODY: Final = b"Greffier's question to the server: does it keep to If-None-Match?\n"

_KEY_REFUSED: Final = (
    "the key may not do this",
    "allow GREFFIER_S3_ACCESS_KEY s3:GetObject, s3:PutObject and s3:ListBucket there",
)
_NO_BUCKET_NAME: Final = ("that is no name of a bucket", "correct {setting}")
_KEY_UNKNOWN: Final = (
    "the server does not know the access key",
    "correct GREFFIER_S3_ACCESS_KEY",
)
_OTHER_REGION: Final = ("the bucket is in another region", "correct GREFFIER_S3_REGION")

_REFUSALS: Final = {
    "AccessDenied": _KEY_REFUSED,
    "AuthorizationHeaderMalformed": _OTHER_REGION,
    "IllegalLocationConstraintException": _OTHER_REGION,
    "InvalidAccessKeyId": _KEY_UNKNOWN,
    "InvalidBucketName": _NO_BUCKET_NAME,
    "NoSuchBucket": ("there is no such bucket", "create it, or correct {setting}"),
    "PermanentRedirect": _OTHER_REGION,
    "RequestTimeTooSkewed": ("our clock is wrong", "set the clock (NTP)"),
    "SignatureDoesNotMatch": (
        "the secret key does not belong to the access key",
        "correct GREFFIER_S3_SECRET_KEY",
    ),
    "XAdminUserNotFound": _KEY_UNKNOWN,  # versitygw's word for it
}
"""S3's error code -> what it says and what to do; ``setting`` is what names the bucket
(https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html#ErrorCodeList)."""

_REFUSING_STATUS: Final = {
    HTTPStatus.UNAUTHORIZED: _KEY_REFUSED,
    HTTPStatus.FORBIDDEN: _KEY_REFUSED,
    HTTPStatus.NOT_FOUND: ("no S3 is spoken there", "correct GREFFIER_S3_ENDPOINT"),
}


class S3RefusedError(StoreRefusedError):
    """The S3 server refused.

    Args:
        what: What was refused, naming the bucket.
        fix: What to do about it.
    """

    def __init__(self, what: str, fix: str) -> None:
        super().__init__(f"{what}: {fix}")
        self.what = what
        self.fix = fix


class _ObjectExistsError(StoreError):
    """There is an object of that key."""


class _NotImplementedError(StoreError):
    """The server does not know what was asked."""


class S3Bucket:
    """The objects below a prefix; keys are relative to it.

    Every call is one try, may be cancelled at any moment and raises:

    * :class:`S3RefusedError`: asking again at once can't help; it says what to fix;
    * :class:`StoreError`: the server is away, slow or in trouble.

    Args:
        place: Bucket, prefix and server.
        page: Keys that one answer lists, at most 1,000.
    """

    def __init__(self, place: S3Place, *, page: int = PAGE) -> None:
        self._place = place
        self._page = page
        self._client: Any = None
        self._opened = AsyncExitStack()
        self._opening = asyncio.Lock()
        self._can_create: bool | None = None

    async def can_create(self) -> bool:
        """Tell whether the server keeps to the condition of :meth:`create`; asked once.

        Some servers answer 501 to it, and some take no notice, which only asking twice shows. The
        question is an object of its own that stays, so most processes ask with one request.
        """
        if self._can_create is None:
            try:
                again = await self.create(_PROBE, _PROBE_BODY)
                ignored = again and await self.create(_PROBE, _PROBE_BODY)
            except _NotImplementedError:
                ignored = True
            self._can_create = not ignored
        return self._can_create

    async def create(self, key: str, body: bytes, *, content_type: str = _LINES) -> bool:
        """Put a new object whole; False, and nothing changes, where there is one of that key."""
        try:
            await self._put(key, body, content_type, IfNoneMatch="*")
        except _ObjectExistsError:
            return False
        return True

    async def put(self, key: str, body: bytes, *, content_type: str = _LINES) -> None:
        """Put an object, also over another."""
        await self._put(key, body, content_type)

    async def get(self, key: str) -> bytes | None:
        """Return an object's bytes, or None where there is none."""
        client = await self._open()
        with self._explained():
            try:
                answer = await client.get_object(Bucket=self._place.bucket, Key=self._full(key))
            except ClientError as error:
                if error.response.get("Error", {}).get("Code") == "NoSuchKey":
                    return None
                raise
            async with answer["Body"] as body:
                return bytes(await body.read())

    async def stream(self, key: str, piece: int) -> AsyncGenerator[bytes, None]:
        """Iterate over an object's bytes as they come, at most ``piece`` at a time.

        Raises:
            KeyError: There is no such object.
        """
        client = await self._open()
        with self._explained():
            try:
                answer = await client.get_object(Bucket=self._place.bucket, Key=self._full(key))
            except ClientError as error:
                if error.response.get("Error", {}).get("Code") == "NoSuchKey":
                    raise KeyError(key) from None
                raise
            async with answer["Body"] as body:
                while data := await body.read(piece):
                    yield bytes(data)

    async def keys(self, prefix: str) -> list[str]:
        """Return the keys that begin with ``prefix``, in order."""
        client = await self._open()
        found: list[str] = []
        with self._explained():
            pages = client.get_paginator("list_objects_v2").paginate(
                Bucket=self._place.bucket,
                Prefix=self._full(prefix),
                PaginationConfig={"PageSize": self._page},
            )
            async for page in pages:
                found += [item["Key"] for item in page.get("Contents", ())]
        return [key.removeprefix(self._place.prefix) for key in found]

    async def delete(self, key: str) -> None:
        """Delete an object; one that is not there is no error."""
        client = await self._open()
        with self._explained():
            await client.delete_object(Bucket=self._place.bucket, Key=self._full(key))

    async def aclose(self) -> None:
        """Close the connections; the next call opens new ones."""
        async with self._opening:
            self._client = None
            await self._opened.aclose()

    def _full(self, key: str) -> str:
        return f"{self._place.prefix}{key}"

    async def _put(self, key: str, body: bytes, content_type: str, **condition: str) -> None:
        client = await self._open()
        with self._explained():
            await client.put_object(
                Bucket=self._place.bucket,
                Key=self._full(key),
                Body=body,
                ContentType=content_type,
                **condition,
            )

    async def _open(self) -> Any:
        async with self._opening:
            if self._client is None:
                with self._explained():
                    await self._enter_client()
            return self._client

    async def _enter_client(self) -> None:
        session = AioSession()
        # botocore reads 120 ms worth of JSON: not in the loop that carries captions.
        session.register_component("data_loader", await asyncio.to_thread(_loaded_data))
        try:
            async with AsyncExitStack() as opened:
                self._client = await opened.enter_async_context(self._new_client(session))
                self._opened = opened.pop_all()
        except ValueError as error:
            raise S3RefusedError(
                f"{self._place}: no address of a server, or no region",
                "correct GREFFIER_S3_ENDPOINT or GREFFIER_S3_REGION",
            ) from error

    def _new_client(self, session: Any) -> Any:
        access = self._place.access
        return session.create_client(
            "s3",
            endpoint_url=access.url,
            region_name=access.region,
            # None, not empty: then AWS's own chain is asked.
            aws_access_key_id=access.access_key or None,
            aws_secret_access_key=(access.access_key and access.secret_key.get_secret_value())
            or None,
            config=AioConfig(
                s3={"addressing_style": "path"},
                connect_timeout=_CONNECT_TIMEOUT,
                read_timeout=_READ_TIMEOUT,
                max_pool_connections=CONCURRENCY,
                retries={"total_max_attempts": 1},  # the caller's are the only ones
                # Servers other than AWS's do not know the checksums that botocore adds by itself.
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        )

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except ClientError as error:
            raise self._answered(error) from error
        except (NoCredentialsError, PartialCredentialsError, CredentialRetrievalError) as error:
            raise S3RefusedError(
                f"{self._place}: no key", "set GREFFIER_S3_ACCESS_KEY and GREFFIER_S3_SECRET_KEY"
            ) from error
        except ParamValidationError as error:
            raise S3RefusedError(
                f"{self._place}: {_NO_BUCKET_NAME[0]}", self._fix(_NO_BUCKET_NAME[1])
            ) from error
        except (BotoCoreError, aiohttp.ClientError, OSError) as error:
            # Not their text: it holds the whole URL, and so the meeting's name.
            raise StoreError(f"{self._place}: {type(error).__name__}") from error

    def _fix(self, fix: str) -> str:
        return fix.format(setting=self._place.setting)

    def _answered(self, error: Any) -> StoreError:
        code = str(error.response.get("Error", {}).get("Code", ""))
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if refusal := _REFUSALS.get(code) or _REFUSING_STATUS.get(status):
            what, fix = refusal
            return S3RefusedError(f"{self._place}: {what}", self._fix(fix))
        # botocore makes a code of the status where the answer has none.
        shown = "" if code == str(status) else f" {code}"
        what = f"{self._place}: answered {status}{shown}"
        match status:
            case HTTPStatus.PRECONDITION_FAILED:
                return _ObjectExistsError(what)
            case HTTPStatus.NOT_IMPLEMENTED:
                return _NotImplementedError(what)
        return StoreError(what)


@cache
def _loaded_data() -> Any:
    loader = create_loader()
    for name in ("endpoints", "partitions", "sdk-default-configuration", "_retry"):
        loader.load_data(name)
    for kind in ("service-2", "endpoint-rule-set-1"):
        loader.load_service_model("s3", kind)
    return loader
