"""How an S3 server is reached, and the place in it that an address names."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Self
from urllib.parse import parse_qs, urlsplit

from pydantic import SecretStr

from pipelines.errors import SettingsError
from pipelines.transcript.stores.address import StoreAddress

_OPTIONS: Final = frozenset({"endpoint", "region"})


@dataclass(frozen=True, slots=True)
class S3Access:
    """Address and key of an S3 server.

    Args:
        endpoint: ``https://host:port``, or ``host:port`` as La Suite Meet writes it; empty is AWS.
        secure: Whether an endpoint without scheme means https.
        region: The region that requests are signed for.
        access_key: Empty takes what AWS's own chain finds (environment, profile, instance).
        secret_key: Belongs to ``access_key``.
    """

    endpoint: str
    secure: bool
    region: str
    access_key: str
    secret_key: SecretStr

    @property
    def url(self) -> str | None:
        """The endpoint with its scheme, or None for AWS."""
        if not self.endpoint or "://" in self.endpoint:
            return self.endpoint or None
        return f"{'https' if self.secure else 'http'}://{self.endpoint}"


@dataclass(frozen=True, slots=True)
class S3Place:
    """Where in S3 a store keeps its objects.

    Args:
        bucket: It must exist.
        prefix: What every key begins with: empty, or with a slash at its end.
        access: The server, as the settings and the address have it.
        setting: The environment variable that names the bucket.
    """

    bucket: str
    prefix: str
    access: S3Access
    setting: str = "GREFFIER_STORES"

    @classmethod
    def of(
        cls, address: StoreAddress, access: S3Access, *, setting: str = "GREFFIER_STORES"
    ) -> Self:
        """Read ``s3://bucket/prefix?endpoint=...&region=...``; what it says wins over ``access``.

        Raises:
            SettingsError: It holds a key, or an option that there is not.
        """
        parts = urlsplit(address.url)
        if "@" in parts.netloc:
            raise SettingsError(
                f"{setting}: {address} holds a key; set GREFFIER_S3_ACCESS_KEY and "
                "GREFFIER_S3_SECRET_KEY instead"
            )
        options = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        if unknown := sorted(options.keys() - _OPTIONS):
            raise SettingsError(
                f"{setting}: {address} has an option {unknown[0]!r}; there are "
                f"{', '.join(sorted(_OPTIONS))}"
            )
        prefix = parts.path.strip("/")
        return cls(
            bucket=parts.netloc,
            prefix=f"{prefix}/" if prefix else "",
            access=replace(
                access,
                endpoint=options.get("endpoint", access.endpoint),
                region=options.get("region", access.region),
            ),
            setting=setting,
        )

    def __str__(self) -> str:
        return f"bucket {self.bucket!r} at {urlsplit(self.access.url or '').netloc or 'AWS'}"
