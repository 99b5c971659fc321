"""The settings of deliveries: where minutes may go, and the secrets for it."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import BaseModel, Field, SecretStr, field_validator, model_validator
from pydantic_settings import NoDecode

from pipelines.post_meeting.deliver.destination import (
    Destination,
    mailbox_of,
    parse_destinations,
    parse_pairs,
)
from pipelines.transcript.stores.address import StoreAddress
from pipelines.transcript.stores.s3_access import S3Access, S3Place
from pipelines.webhook_key import open_webhook

_ADDRESSES = "GREFFIER_DESTINATIONS"
_SECRETS = "GREFFIER_DESTINATION_SECRETS"


class DeliverySettings(BaseModel):
    """A part of the settings; beside it are those of :class:`StoreSettings`, for S3."""

    destinations: Annotated[tuple[Destination, ...], NoDecode] = Field(
        default=(),
        description="Where minutes may be delivered, `name=address` each or a JSON object: "
        "`file:///directory`, `s3://bucket/prefix`, `https://` (a signed webhook), "
        "`smtp://host:587?from=...&to=...`.",
    )
    destination_secrets: SecretStr = Field(
        default=SecretStr(""),
        description="`name=secret` each, or a JSON object: the key of a webhook (`whsec_...`), the "
        "password of a mail account.",
    )
    delivery_timeout: float = Field(
        default=60.0, gt=0, description="Seconds that one attempt to deliver may take."
    )

    @field_validator("destinations", mode="before")
    @classmethod
    def _parse_destinations(cls, value: object) -> object:
        return parse_destinations(value) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _can_be_delivered_to(self) -> Self:
        secrets = self._secrets
        names = {destination.name for destination in self.destinations}
        if stray := sorted(secrets.keys() - names):
            raise ValueError(f"{_SECRETS}: no destination is called {stray[0]!r}")
        for destination in self.destinations:
            secret = self.secret_of(destination)
            match destination.kind:
                case "webhook":
                    open_webhook(secret, setting=f"{_SECRETS}: {destination.name}")
                case "mail" if mailbox_of(destination).user and not secret:
                    raise ValueError(f"{_SECRETS} must have the password for {destination}")
                case "s3":
                    s3_place_of(destination, _NO_ACCESS)
        return self

    def destination(self, name: str) -> Destination | None:
        """Return the destination of that name, or None."""
        return next((one for one in self.destinations if one.name == name), None)

    def secret_of(self, destination: Destination) -> SecretStr:
        """Return the destination's secret; empty where it has none."""
        return SecretStr(self._secrets.get(destination.name, ""))

    @property
    def _secrets(self) -> dict[str, str]:
        try:
            return parse_pairs(self.destination_secrets.get_secret_value(), "secret")
        except ValueError as error:
            raise ValueError(f"{_SECRETS}: {error}") from None


def s3_place_of(destination: Destination, access: S3Access) -> S3Place:
    """Return the bucket and prefix of an ``s3://`` destination.

    Raises:
        SettingsError: Its address holds a key, or an option that there is not.
    """
    address = StoreAddress(destination.name, "s3", destination.url)
    return S3Place.of(address, access, setting=_ADDRESSES)


_NO_ACCESS = S3Access(endpoint="", secure=True, region="", access_key="", secret_key=SecretStr(""))
