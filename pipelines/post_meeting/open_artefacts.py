"""Opens the place of the artefacts that the settings name."""

from __future__ import annotations

from pipelines.post_meeting.artefacts import ArtefactStore, FilesArtefactStore, S3ArtefactStore
from pipelines.settings import Settings
from pipelines.transcript.stores.s3_access import S3Place


def open_artefacts(settings: Settings) -> ArtefactStore:
    """Return where artefacts are kept; nothing is connected to before it is used.

    Raises:
        SettingsError: ``GREFFIER_ARTEFACTS`` holds a key, or an option that there is not.
    """
    if settings.artefacts is None:
        return open_files(settings)
    from pipelines.transcript.stores.s3_bucket import (  # noqa: PLC0415 - its client takes 100 ms to load
        S3Bucket,
    )

    place = S3Place.of(settings.artefacts, settings.s3_access, setting="GREFFIER_ARTEFACTS")
    return S3ArtefactStore(S3Bucket(place))


def open_files(settings: Settings) -> FilesArtefactStore:
    """Return this host's own files: there the worker seals."""
    return FilesArtefactStore(settings.store_dir)
