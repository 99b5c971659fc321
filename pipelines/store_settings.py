"""The settings of the stores beside the files: where they are, and the keys to them."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import AliasChoices, BaseModel, Field, SecretStr, field_validator, model_validator
from pydantic_settings import NoDecode

from pipelines.transcript.stores.address import StoreAddress, parse_addresses
from pipelines.transcript.stores.s3_access import S3Access, S3Place


class StoreSettings(BaseModel):
    """A part of :class:`pipelines.settings.Settings`.

    The S3 settings are also read under the names that La Suite Meet's agents give them.
    """

    stores: Annotated[tuple[StoreAddress, ...], NoDecode] = Field(
        default=(),
        description="Stores beside the files, `[name=]address` each: `redis://`, `s3://bucket/"
        "prefix`, `https://` (our contract), `meetai+https://`.",
    )
    store_timeout: float = Field(
        default=10.0, gt=0, description="Seconds that one call of a store may take."
    )
    store_secret: SecretStr = Field(
        default=SecretStr(""),
        description="Key that signs what goes to an `https://` store (Standard Webhooks, "
        "`whsec_...`).",
    )
    meetai_secret: SecretStr = Field(
        default=SecretStr(""),
        description="The backend's `INTERNAL_HANDSHAKE_SECRET`, for a `meetai+https://` store.",
    )
    s3_endpoint: str = Field(
        default="",
        validation_alias=AliasChoices("GREFFIER_S3_ENDPOINT", "AWS_S3_ENDPOINT_URL", "s3_endpoint"),
        description="Address of the S3 server, with or without scheme; empty is AWS.",
    )
    s3_secure: bool = Field(
        default=True,
        validation_alias=AliasChoices("GREFFIER_S3_SECURE", "AWS_S3_SECURE_ACCESS", "s3_secure"),
        description="Whether an S3 address without scheme means https.",
    )
    s3_region: str = Field(
        default="",
        validation_alias=AliasChoices("GREFFIER_S3_REGION", "AWS_S3_REGION_NAME", "s3_region"),
        description="Region of the S3 server; empty is `us-east-1`.",
    )
    s3_access_key: str = Field(
        default="",
        validation_alias=AliasChoices(
            "GREFFIER_S3_ACCESS_KEY", "AWS_S3_ACCESS_KEY_ID", "s3_access_key"
        ),
        description="S3 access key; empty takes what AWS's own chain finds.",
    )
    s3_secret_key: SecretStr = Field(
        default=SecretStr(""),
        validation_alias=AliasChoices(
            "GREFFIER_S3_SECRET_KEY", "AWS_S3_SECRET_ACCESS_KEY", "s3_secret_key"
        ),
        description="S3 secret key.",
    )

    metadata_bucket: str = Field(
        default="",
        validation_alias=AliasChoices(
            "GREFFIER_METADATA_BUCKET", "AWS_STORAGE_BUCKET_NAME", "metadata_bucket"
        ),
        description="Bucket of the metadata file of a La Suite Meet recording.",
    )
    metadata_folder: str = Field(
        default="metadata",
        validation_alias=AliasChoices(
            "GREFFIER_METADATA_FOLDER", "AWS_S3_OUTPUT_FOLDER", "metadata_folder"
        ),
        description="Folder of that file; La Suite's backend calls it "
        "`METADATA_COLLECTOR_OUTPUT_FOLDER`.",
    )

    @field_validator("stores", mode="before")
    @classmethod
    def _parse_stores(cls, value: object) -> object:
        return parse_addresses(value) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _can_be_used(self) -> Self:
        needed = {"http": "store_secret", "meetai": "meetai_secret"}
        for store in self.stores:
            if store.kind == "s3":
                S3Place.of(store, self.s3_access)
            secret = needed.get(store.kind)
            if secret and not getattr(self, secret).get_secret_value():
                raise ValueError(f"GREFFIER_{secret.upper()} must be set for the store {store}")
        return self

    @property
    def s3_access(self) -> S3Access:
        """How S3 stores are reached where their address says nothing else."""
        return S3Access(
            endpoint=self.s3_endpoint,
            secure=self.s3_secure,
            region=self.s3_region or "us-east-1",
            access_key=self.s3_access_key,
            secret_key=self.s3_secret_key,
        )
