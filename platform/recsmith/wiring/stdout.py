"""Standard output belongs to the command's result: whatever a plugin prints goes to standard error."""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from contextlib import contextmanager, redirect_stdout, suppress
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterator


ALONE = threading.RLock()


@contextmanager
def stdout_aside() -> Iterator[TextIO]:
    """Send standard output to standard error, that of C code included; yields a stream to the true one.

    Where standard output is no file of the process's own (under a test's capture, in a notebook), only Python's is
    redirected. One thread at a time: the process has one standard output, and what was redirected last must come back
    first.
    """
    with ALONE:
        yield from _aside(sys.stdout)


def _aside(real: TextIO) -> Iterator[TextIO]:
    if not _is_descriptor_one(real):
        with redirect_stdout(sys.stderr):
            yield real
        return
    real.flush()
    _flush_c()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        out = os.fdopen(os.dup(kept), "w", encoding=real.encoding, errors=real.errors)
        with out, redirect_stdout(sys.stderr):
            yield out
    finally:
        _flush_c()
        os.dup2(kept, 1)
        os.close(kept)


def _flush_c() -> None:
    """Write what C code has buffered, to where it belongs."""
    with suppress(OSError, AttributeError, TypeError):  # where there is no such library
        ctypes.CDLL(None).fflush(None)


def _is_descriptor_one(stream: TextIO | None) -> bool:
    try:
        return stream is not None and stream.fileno() == 1
    except (OSError, ValueError, AttributeError):
        return False
