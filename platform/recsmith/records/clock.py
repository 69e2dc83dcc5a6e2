"""The running time of a study, summed over all its drivers."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING

from recsmith.records.atomic import write_whole

if TYPE_CHECKING:
    from pathlib import Path

BEAT = 2.0  # seconds between two savings: what a killed driver can lose


class Clock:
    """Counts seconds while it runs and keeps the sum in `clock.json`."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "clock.json"
        self._before = recorded_seconds(folder)
        self._started = time.monotonic()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True, name="study clock")

    @property
    def seconds(self) -> float:
        """Running time of this driver and of all before it."""
        return self._before + time.monotonic() - self._started

    def start(self) -> None:
        """Begin to save the time every few seconds."""
        self._thread.start()

    def stop(self) -> None:
        """Save the time a last time."""
        self._stop.set()
        self._thread.join()
        self._save()

    def _beat(self) -> None:
        while not self._stop.wait(BEAT):
            self._save()

    def _save(self) -> None:
        write_whole(self._path, json.dumps({"seconds": round(self.seconds, 3)}).encode())


def recorded_seconds(folder: Path) -> float:
    """The running time that a study folder has recorded."""
    path = folder / "clock.json"
    return float(json.loads(path.read_bytes())["seconds"]) if path.exists() else 0.0
