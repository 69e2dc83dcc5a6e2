"""The memory: what studies found on their data sets, one small JSON file each, in a folder of the user.

A file holds aggregate numbers of the data set, and of every trial its configuration, figures and seconds: no
identifier, no interaction, no text. Files are written whole under the number of their study, so two processes may add
at once, a study that is added again takes its own place, and a folder can be copied, read and merged by hand.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field, ValidationError

from recsmith.contracts.config import Choice
from recsmith.contracts.errors import StudyError
from recsmith.contracts.plan import USUAL_MEMORY, Scenario
from recsmith.contracts.results import Result, TrialState
from recsmith.records.atomic import write_whole

if TYPE_CHECKING:
    from collections.abc import Iterable

VERSION = 1  # of the files
PLACE = "RECSMITH_MEMORY"  # the environment variable that names the folder
SHOWN = 8  # letters of a key that suffice to name it


class RememberedTrial(Result):
    """One configuration and what came of it on validation."""

    configuration: Choice
    state: TrialState
    metrics: dict[str, float] = Field(default_factory=dict)  # at its best epoch, the objective among them
    seconds: float  # to learn and judge it


class RememberedStudy(Result):
    """One study: its data set in numbers, and its trials."""

    version: int = VERSION
    key: str  # the number of the study's folder
    name: str  # of the plan
    added: str  # ISO moment in UTC
    scenario: Scenario
    objective: str
    direction: Literal["maximize", "minimize"]
    mask_seen: bool
    split_hash: str  # equal where the log and its split are
    meta_features: dict[str, float]
    trials: tuple[RememberedTrial, ...]

    def ranked(self) -> list[RememberedTrial]:
        """The trials by the objective, the best first, those without it last."""
        sign = -1.0 if self.direction == "maximize" else 1.0
        values = [(trial.metrics.get(self.objective), place) for place, trial in enumerate(self.trials)]
        order = sorted((value is None, sign * (value or 0.0), place) for value, place in values)
        return [self.trials[place] for _, _, place in order]


@dataclass(frozen=True)
class Fault:
    """A file of the memory that cannot be used, and why."""

    path: Path
    reason: str


class StudyStore:
    """The memory in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def at(cls, place: str | Path | None) -> StudyStore:
        """The memory at a place; None and "default": where the user's is."""
        return cls(usual_folder() if place in {None, USUAL_MEMORY} else Path(str(place)).expanduser().absolute())

    def prepare(self) -> None:
        """Make the folder, and make sure that it can be written.

        Raises:
            StudyError: it cannot.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._unwritable(error.strerror) from error
        if not os.access(self.folder, os.W_OK | os.X_OK):
            raise self._unwritable("permission denied")

    def read(self) -> tuple[list[RememberedStudy], list[Fault]]:
        """Every study, the oldest first, and the files that are none. No folder: nothing is remembered."""
        studies, faults = [], []
        for path in sorted(self.folder.glob("*.json")):
            try:
                studies.append(_parsed(path))
            except (OSError, ValueError) as error:
                faults.append(Fault(path, _in_words(error)))
        return sorted(studies, key=lambda study: (study.added, study.key)), faults

    def add(self, study: RememberedStudy) -> Path:
        """Write a study; one of the same key gives way.

        Raises:
            StudyError: the folder cannot be written.
        """
        path = self._path(study.key)
        try:
            write_whole(path, study.model_dump_json(indent=1).encode())
        except OSError as error:
            raise self._unwritable(error.strerror) from error
        return path

    def find(self, start: str) -> RememberedStudy:
        """The one study whose key begins so.

        Raises:
            StudyError: there is none, or more than one.
        """
        studies, _ = self.read()
        found = [study for study in studies if start and study.key.startswith(start)]
        if len(found) == 1:
            return found[0]
        known = ", ".join(study.key[:SHOWN] for study in found or studies) or "none"
        what = "more than one study is" if found else "no study is"
        raise StudyError(f"{self.folder}: {what} remembered under {start!r}. Known: {known}.")

    def forget(self, studies: Iterable[RememberedStudy]) -> None:
        """Delete studies for good; one that is gone already is no matter."""
        for study in studies:
            self._path(study.key).unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.json"

    def _unwritable(self, why: str | None) -> StudyError:
        return StudyError(f"{self.folder}: the memory cannot be written ({why}). Name another folder: {PLACE}.")


def usual_folder() -> Path:
    """Where a user's memory is: `RECSMITH_MEMORY`, else the place of the platform for an application's data."""
    if named := os.environ.get(PLACE):
        return Path(named).expanduser().absolute()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "recsmith" / "memory"
    data = os.environ.get("XDG_DATA_HOME", "")
    return (Path(data) if Path(data).is_absolute() else Path.home() / ".local" / "share") / "recsmith" / "memory"


def _parsed(path: Path) -> RememberedStudy:
    content = json.loads(path.read_bytes())
    version = content.get("version") if isinstance(content, dict) else None
    if isinstance(version, int) and version > VERSION:
        raise ValueError(f"it was written by a newer recsmith (version {version}, known are those to {VERSION})")
    study = RememberedStudy.model_validate(content)
    if study.key != path.stem:
        raise ValueError(f"it holds the study {study.key[:SHOWN]} under another name")
    return study


def _in_words(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc'])) or 'content'}: {first['msg']}"
    return str(error)
