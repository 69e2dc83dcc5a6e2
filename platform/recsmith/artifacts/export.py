"""An artifact leaves in another shape, verified before and after; an archive comes back as an artifact."""

from __future__ import annotations

import io
import shutil
import tarfile
import tempfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from recsmith.artifacts.files import LARGEST_JSON
from recsmith.artifacts.place import make_room, placed
from recsmith.artifacts.verify import verify
from recsmith.contracts.artifact import MANIFEST, Manifest
from recsmith.contracts.errors import ArtifactError

if TYPE_CHECKING:
    from recsmith.contracts.config import Choice
    from recsmith.wiring.registry import Registry

ROOT = "artifact/"  # the one folder of an archive


def export_artifact(artifact: Path, destination: Path, exporter: Choice, registry: Registry) -> Path:
    """Verify `artifact`, export it, and verify what was written where it is a folder or a tar archive.

    Raises:
        ArtifactError: the artifact or what was written is not whole, or something stands at `destination`.
        PluginError: there is no such exporter.
    """
    verify(artifact)
    make_room(destination)
    written: Path = registry.build("exporters", exporter, registry.context()).export(artifact, destination)
    if written.is_dir():
        verify(written)
    elif tarfile.is_tarfile(written):
        with tempfile.TemporaryDirectory(prefix="recsmith-") as folder:
            unpack(written, Path(folder, "artifact"))
    return written


def unpack(archive: Path, destination: Path) -> Path:
    """Unpack an archive of the exporter `tar` and verify it before it takes its place.

    Only plain files that the manifest, which comes first, lists with their size are written: no links, no paths outside
    the folder, no archive that is larger than it says.

    Raises:
        ArtifactError: the archive is no such archive.
    """
    try:
        with tarfile.open(archive, "r|gz") as packed, placed(destination) as folder:
            expected: dict[str, int] | None = None
            for entry in packed:
                name = entry.name.removeprefix(ROOT)
                if expected is None:
                    expected = _expected(archive, packed, entry, folder / MANIFEST)
                elif not entry.isreg() or expected.pop(name, None) != entry.size:
                    raise ArtifactError(f"{archive}: {entry.name!r} is not what the manifest lists. Take a clean copy.")
                else:
                    _write(packed, entry, folder / name)
            verify(folder)
    except (tarfile.TarError, zlib.error, OSError, EOFError) as error:
        raise ArtifactError(f"{archive}: no readable archive ({error}). Take a clean copy.") from error
    return destination


def _expected(archive: Path, packed: tarfile.TarFile, entry: tarfile.TarInfo, target: Path) -> dict[str, int]:
    """Write the manifest, the first entry of an archive; return the sizes of all others."""
    if entry.name != ROOT + MANIFEST or not entry.isreg() or entry.size > LARGEST_JSON:
        raise ArtifactError(f"{archive}: begins with {entry.name!r} instead of {ROOT}{MANIFEST}. Export it anew.")
    _write(packed, entry, target)
    try:
        manifest = Manifest.model_validate_json(target.read_bytes())
    except ValidationError as error:
        raise ArtifactError(f"{archive}: its manifest is none: {error.errors()[0]['msg']}. Export it anew.") from error
    return {name: file.size for name, file in manifest.files.items()}


def _write(packed: tarfile.TarFile, entry: tarfile.TarInfo, target: Path) -> None:
    source = packed.extractfile(entry)
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as written:
        shutil.copyfileobj(source or io.BytesIO(), written)
