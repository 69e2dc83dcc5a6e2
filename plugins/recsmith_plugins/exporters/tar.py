"""Packs an artifact into one .tar.gz: equal artifacts give equal bytes."""

from __future__ import annotations

import gzip
import hashlib
import os
import tarfile
from typing import TYPE_CHECKING, cast

from recsmith.contracts.artifact import MANIFEST, Manifest
from recsmith.contracts.errors import ArtifactError
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import ExporterSpec

if TYPE_CHECKING:
    from io import BufferedReader
    from pathlib import Path

    from recsmith.contracts.config import Config
    from recsmith.contracts.plugins import BuildContext

ROOT = "artifact"  # the one folder in the archive
LEVEL = 6


class TarExporter:
    """The manifest first, then the files in order of name; no times, owners or modes of this machine."""

    def export(self, artifact: Path, destination: Path) -> Path:
        """Write the archive beside its place, read it again against the manifest, then move it into place.

        Raises:
            ArtifactError: something stands at `destination`, or a file is not what the manifest says.
        """
        if os.path.lexists(destination):
            raise ArtifactError(f"{destination}: exists already: choose another place, or move it away.")
        manifest = Manifest.model_validate_json((artifact / MANIFEST).read_bytes())
        destination.parent.mkdir(parents=True, exist_ok=True)
        staging = destination.with_name(f".{destination.name}.new")
        try:
            _pack(artifact, [MANIFEST, *sorted(manifest.files)], staging)
            _check(staging, manifest)
            staging.replace(destination)
        finally:
            staging.unlink(missing_ok=True)
        return destination


def _pack(artifact: Path, names: list[str], staging: Path) -> None:
    with staging.open("wb") as raw:
        with (
            gzip.GzipFile(filename="", fileobj=raw, mode="wb", compresslevel=LEVEL, mtime=0) as packed,
            tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
        ):
            for name in names:
                entry = tarfile.TarInfo(f"{ROOT}/{name}")  # mode 644, owner 0, time 0
                with (artifact / name).open("rb") as source:
                    entry.size = os.fstat(source.fileno()).st_size
                    archive.addfile(entry, source)
        raw.flush()
        os.fsync(raw.fileno())


def _check(staging: Path, manifest: Manifest) -> None:
    with tarfile.open(staging, "r:gz") as archive:
        for name, entry in manifest.files.items():
            content = archive.extractfile(f"{ROOT}/{name}")
            if (
                content is None
                or hashlib.file_digest(cast("BufferedReader", content), "sha256").hexdigest() != entry.sha256
            ):
                raise ArtifactError(f"{name}: is not the file that was saved. Take a clean copy of the artifact.")


def build(config: Config, context: BuildContext) -> TarExporter:
    """Build the exporter."""
    return TarExporter()


@hookimpl
def provide_exporters() -> list[ExporterSpec]:
    """Offer the exporter."""
    return [ExporterSpec(name="tar", api_version=1, source="none: a tar archive, compressed by gzip", build=build)]
