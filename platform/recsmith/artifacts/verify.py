"""Whether a folder is a whole, unchanged artifact: the closed list first, then the hashes, then what is inside."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ValidationError

from recsmith.artifacts.catalogue import Catalogue, read_catalogue
from recsmith.artifacts.files import REMEDY, digest, read_json
from recsmith.artifacts.golden import Golden
from recsmith.artifacts.manifest import seal
from recsmith.artifacts.members import Member, read_member
from recsmith.artifacts.place import set_aside
from recsmith.contracts.artifact import MANIFEST, SCHEMA_VERSION, Combination, Manifest
from recsmith.contracts.errors import ArtifactError

if TYPE_CHECKING:
    from collections.abc import Iterator

M = TypeVar("M", bound=BaseModel)
REQUIRED = (
    "README.md",
    "combination.json",
    "golden.json",
    *(f"catalog/{name}" for name in ("items.parquet", "users.parquet", "histories.parquet", "popularity.safetensors")),
)


@dataclass(frozen=True, eq=False)
class Content:
    """Everything in a verified artifact, as plain data."""

    manifest: Manifest
    catalogue: Catalogue
    members: tuple[Member, ...]
    combination: Combination
    golden: Golden


def verify(path: Path) -> Manifest:
    """The manifest of a whole and unchanged artifact; no plugin is imported and nothing of the artifact is run.

    Raises:
        ArtifactError: a file is missing, added, changed, no plain file, or holds what it must not, or the schema is
            newer than this version.
    """
    return read_content(path).manifest


def read_content(path: Path) -> Content:
    """Check the files of an artifact, then read them all.

    Raises:
        ArtifactError: as `verify`.
    """
    manifest = _manifest(path)
    _check_list(path, manifest)
    for name, entry in manifest.files.items():
        if (path / name).stat().st_size != entry.size or digest(path / name) != entry.sha256:
            raise ArtifactError(f"{path / name}: is not the file that was saved (size or hash differ). {REMEDY}")
    members = tuple(read_member(path / "members" / str(number)) for number in range(len(manifest.configurations)))
    for number, member in enumerate(members):
        if member.configuration != manifest.configurations[number]:
            place = path / "members" / str(number) / "config.json"
            raise ArtifactError(f"{place}: another configuration than the manifest's. {REMEDY}")
    combination = _read(path / "combination.json", Combination)
    if len(members) > 1 and combination.combiner is None:
        raise ArtifactError(f"{path / 'combination.json'}: no combiner for {len(members)} members. {REMEDY}")
    catalogue = read_catalogue(path / "catalog", manifest)
    return Content(manifest, catalogue, members, combination, _read(path / "golden.json", Golden))


def _manifest(path: Path) -> Manifest:
    place = path / MANIFEST
    if not path.is_dir():
        aside = set_aside(path)
        cut_off = f"A save was cut off: rename {aside} to {path.name}."
        raise ArtifactError(f"{path}: is no folder. {cut_off if aside.is_dir() else 'Give the folder of an artifact.'}")
    if place.is_symlink() or not place.is_file():
        raise ArtifactError(f"{place}: is missing or no plain file, so {path} is no artifact. {REMEDY}")
    content = read_json(place)
    version = content.get("schema_version") if isinstance(content, dict) else None
    if isinstance(version, int) and version > SCHEMA_VERSION:
        advice = "Upgrade recsmith."
        raise ArtifactError(f"{place}: schema {version} is newer than {SCHEMA_VERSION}, which this can read. {advice}")
    if version != SCHEMA_VERSION:
        raise ArtifactError(f"{place}: no schema version {SCHEMA_VERSION} but {version!r}. {REMEDY}")
    manifest = _validated(place, content, Manifest)
    if seal(content) != manifest.sha256:
        raise ArtifactError(f"{place}: was changed after it was saved (its own hash differs). {REMEDY}")
    return manifest


def _read(place: Path, model: type[M]) -> M:
    return _validated(place, read_json(place), model)


def _validated(place: Path, content: Any, model: type[M]) -> M:
    try:
        return model.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ArtifactError(f"{place}: {where or 'content'}: {first['msg']}. {REMEDY}") from error


def _check_list(path: Path, manifest: Manifest) -> None:
    """The manifest lists what every artifact has, and the folder holds exactly what it lists."""
    folders = [f"members/{number}" for number in range(len(manifest.configurations))]
    needed = [f"{folder}/{name}" for folder in folders for name in ("config.json", "weights.safetensors")]
    for name in (*REQUIRED, *needed):
        if name not in manifest.files:
            raise ArtifactError(f"{path / MANIFEST}: does not list {name!r}, which every artifact has. {REMEDY}")
    found = set(_files(path)) - {MANIFEST}
    for name in sorted(found - set(manifest.files)):
        raise ArtifactError(f"{path / name}: is not listed in the manifest. Remove it, or take a clean copy.")
    for name in sorted(set(manifest.files) - found):
        raise ArtifactError(f"{path / name}: is missing. {REMEDY}")


def _files(path: Path) -> Iterator[str]:
    """Names of all files below, each checked to be a plain file; an empty folder is refused too."""
    for folder, folders, files in os.walk(path):
        if not folders and not files:
            raise ArtifactError(f"{folder}: an empty folder is no part of an artifact. Remove it.")
        for name in (*folders, *files):
            place = Path(folder, name)
            mode = place.lstat().st_mode
            if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                kind = "a symbolic link" if stat.S_ISLNK(mode) else "no plain file"
                raise ArtifactError(f"{place}: is {kind}, which no artifact holds. Remove it, or take a clean copy.")
        for name in files:
            yield Path(folder, name).relative_to(path).as_posix()
