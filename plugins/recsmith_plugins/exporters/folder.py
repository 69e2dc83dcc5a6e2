"""Copies an artifact's folder, whole or not at all."""

from __future__ import annotations

import hashlib
import os
import shutil
from typing import TYPE_CHECKING

from recsmith.contracts.artifact import MANIFEST, Manifest
from recsmith.contracts.errors import ArtifactError
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import ExporterSpec

if TYPE_CHECKING:
    from pathlib import Path

    from recsmith.contracts.config import Config
    from recsmith.contracts.plugins import BuildContext


class FolderExporter:
    """The artifact as it is, in another place."""

    def export(self, artifact: Path, destination: Path) -> Path:
        """Copy the files that the manifest lists, compare each copy's hash, then move the copy into place.

        Raises:
            ArtifactError: something stands at `destination`, or a file is not what the manifest says.
        """
        if os.path.lexists(destination):
            raise ArtifactError(f"{destination}: exists already: choose another place, or move it away.")
        manifest = Manifest.model_validate_json((artifact / MANIFEST).read_bytes())
        destination.parent.mkdir(parents=True, exist_ok=True)
        staging = destination.with_name(f".{destination.name}.new")
        shutil.rmtree(staging, ignore_errors=True)
        try:
            for name, entry in manifest.files.items():
                if _copy(artifact / name, staging / name) != entry.sha256:
                    raise ArtifactError(f"{artifact / name}: is not the file that was saved. Take a clean copy.")
            _copy(artifact / MANIFEST, staging / MANIFEST)
            staging.rename(destination)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
        return destination


def _copy(source: Path, target: Path) -> str:
    """Copy a file, force it to disk, and read it again for its sha256."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    with target.open("rb+") as written:
        os.fsync(written.fileno())
        return hashlib.file_digest(written, "sha256").hexdigest()


def build(config: Config, context: BuildContext) -> FolderExporter:
    """Build the exporter."""
    return FolderExporter()


@hookimpl
def provide_exporters() -> list[ExporterSpec]:
    """Offer the exporter."""
    return [ExporterSpec(name="folder", api_version=1, source="none: a copy", build=build)]
