"""A folder is written beside its place, forced to disk, and moved there: a crash leaves the old one whole."""

from __future__ import annotations

import ctypes
import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

from recsmith.contracts.artifact import MANIFEST
from recsmith.contracts.errors import ArtifactError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

AT_FDCWD, RENAME_EXCHANGE = -100, 2  # Linux, renameat2(2)


def make_room(destination: Path) -> None:
    """Make the folder in which `destination` will lie.

    Raises:
        ArtifactError: it cannot be made.
    """
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ArtifactError(
            f"{destination}: its folder cannot be made ({error.strerror}): choose another place."
        ) from error


def refuse_stranger(destination: Path) -> None:
    """See that nothing but an artifact stands at `destination`.

    Raises:
        ArtifactError: something else does.
    """
    if os.path.lexists(destination) and not (destination / MANIFEST).is_file():
        raise ArtifactError(f"{destination}: exists and is no artifact: choose another place, or move it away.")


@contextmanager
def placed(destination: Path) -> Iterator[Path]:
    """Give an empty folder to fill; it takes `destination`'s place at the end, or goes if the filling fails.

    One process at a time may write to one destination.

    Raises:
        ArtifactError: `destination` exists and is no artifact, or its folder cannot be made.
    """
    make_room(destination)
    aside = set_aside(destination)
    if aside.exists() and not destination.exists():
        aside.rename(destination)  # an earlier save was cut off between its two moves
    refuse_stranger(destination)
    staging = destination.with_name(f".{destination.name}.new")
    _remove(staging)
    staging.mkdir()
    try:
        yield staging
        _sync(staging)
        _move(staging, destination, aside)
    finally:
        _remove(staging)


def set_aside(destination: Path) -> Path:
    """Where the old folder stands for a moment on systems that cannot exchange two folders at once."""
    return destination.with_name(f".{destination.name}.old")


def _move(staging: Path, destination: Path, aside: Path) -> None:
    if not destination.exists():
        staging.rename(destination)
    elif not _exchange(staging, destination):
        _remove(aside)
        destination.rename(aside)
        staging.rename(destination)
        _remove(aside)
    _sync_folder(destination.parent)


def _exchange(one: Path, other: Path) -> bool:
    """Swap two folders in one step where the system can."""
    rename = getattr(ctypes.CDLL(None), "renameat2", None)
    if rename is None:
        return False
    done: int = rename(AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), RENAME_EXCHANGE)
    return done == 0


def _sync(folder: Path) -> None:
    """Force every file and folder below to disk."""
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir():
            _sync_folder(path)
        else:
            with path.open("rb+") as target:
                os.fsync(target.fileno())
    _sync_folder(folder)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _remove(folder: Path) -> None:
    if folder.is_dir() and not folder.is_symlink():
        shutil.rmtree(folder)
    else:
        folder.unlink(missing_ok=True)
