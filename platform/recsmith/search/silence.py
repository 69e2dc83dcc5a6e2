"""The watchdog of a worker: a trial that reports nothing for too long ends its process.

It is faulthandler's own thread in C, so it works when the interpreter hangs in an extension that never gives the
lock back, and it leaves the stack of every thread: what the trial was doing.
"""

from __future__ import annotations

import faulthandler
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

GRACE = 5.0  # seconds that a trial may go on after the deadline to reach its next report


class Silence:
    """Ends this process unless `reset` comes in time."""

    def __init__(self, file: TextIO, timeout: float, deadline: float | None) -> None:
        self._file = file
        self._timeout = timeout
        self._deadline = deadline

    def reset(self) -> None:
        """The trial spoke: the time begins anew."""
        left = self._timeout
        if self._deadline is not None:
            left = min(left, max(self._deadline + GRACE - time.time(), GRACE))
        faulthandler.dump_traceback_later(left, exit=True, file=self._file)

    def suspend(self) -> None:
        """The trial waits for others: nobody counts."""
        faulthandler.cancel_dump_traceback_later()


@contextmanager
def silence_watched(path: Path, timeout: float, deadline: float | None) -> Iterator[Silence]:
    """Watch over the block; the stacks go to `path`, which stays only if the watchdog bit.

    Args:
        path: where to write.
        timeout: seconds without `reset` after which the process ends.
        deadline: `time.time()` after which the process ends anyhow, a grace later.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        watch = Silence(file, timeout, deadline)
        watch.reset()
        try:
            yield watch
        finally:
            watch.suspend()
    path.unlink()
