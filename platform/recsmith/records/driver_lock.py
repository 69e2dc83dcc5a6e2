"""One driver at a time: a lock on the study folder that ends with the process, however that ends."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING, Self

from recsmith.contracts.errors import StudyError

if TYPE_CHECKING:
    from pathlib import Path


class DriverLock:
    """An exclusive `flock` on `driver.lock`, which holds the process number of its owner."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "driver.lock"
        self._handle: int | None = None

    def acquire(self) -> Self:
        """Take the lock.

        Raises:
            StudyError: another process drives the study.
        """
        handle = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            owner = os.read(handle, 32).decode().strip() or "unknown"
            os.close(handle)
            raise StudyError(
                f"{self._path.parent}: process {owner} is running this study. Wait for it, or stop it with "
                f"`kill {owner}`; it ends in order and the study can be resumed."
            ) from error
        os.ftruncate(handle, 0)
        os.pwrite(handle, str(os.getpid()).encode(), 0)
        self._handle = handle
        return self

    def release(self) -> None:
        """Give the lock back."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


def is_held(folder: Path) -> bool:
    """Whether a process drives the study in `folder` right now; writes nothing."""
    path = folder / "driver.lock"
    if not path.exists():
        return False
    handle = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(handle)
    return False
