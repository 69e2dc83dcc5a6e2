"""Packs an artifact into one .zip: equal artifacts give equal bytes."""

from __future__ import annotations

import hashlib
import os
import shutil
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, cast

from recsmith.contracts.artifact import MANIFEST, Manifest
from recsmith.contracts.config import Config
from recsmith.contracts.domains import Categorical
from recsmith.contracts.errors import ArtifactError
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import BuildContext, ExporterSpec

if TYPE_CHECKING:
    from io import BufferedReader
    from pathlib import Path

ROOT = "artifact"  # the one folder in the archive


class MyNameConfig(Config):
    """Settings."""

    compress: Annotated[bool, Categorical((True, False))] = True


@dataclass(frozen=True)
class MyName:
    """The manifest first, then the files that it lists in order of name; no times or owners of this machine."""

    config: MyNameConfig

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
            with zipfile.ZipFile(staging, "w") as archive:
                for name in (MANIFEST, *sorted(manifest.files)):
                    self._add(archive, name, artifact / name)
            _check(staging, manifest)
            staging.replace(destination)
        finally:
            staging.unlink(missing_ok=True)
        return destination

    def _add(self, archive: zipfile.ZipFile, name: str, path: Path) -> None:
        entry = zipfile.ZipInfo(f"{ROOT}/{name}")  # dated 1980-01-01
        entry.compress_type = zipfile.ZIP_DEFLATED if self.config.compress else zipfile.ZIP_STORED
        entry.create_system, entry.external_attr = 3, 0o644 << 16  # as on Unix, wherever it is written
        entry.file_size = path.stat().st_size  # says whether the entry needs the large form
        with path.open("rb") as source, archive.open(entry, "w") as target:
            shutil.copyfileobj(source, target)


def _check(staging: Path, manifest: Manifest) -> None:
    with zipfile.ZipFile(staging) as archive:
        for name, file in manifest.files.items():
            with archive.open(f"{ROOT}/{name}") as content:
                if hashlib.file_digest(cast("BufferedReader", content), "sha256").hexdigest() != file.sha256:
                    raise ArtifactError(f"{name}: is not the file that was saved. Take a clean copy of the artifact.")


def build(config: MyNameConfig, context: BuildContext) -> MyName:
    """An exporter."""
    return MyName(config)


@hookimpl
def provide_exporters() -> list[ExporterSpec]:
    """Offer the exporter."""
    return [
        ExporterSpec(
            name="my_name",
            api_version=1,
            config=MyNameConfig,
            source="none: the files in a zip archive",
            build=build,
        )
    ]
