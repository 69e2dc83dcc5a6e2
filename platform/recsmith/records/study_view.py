"""A study, looked at: who looks takes no lock and writes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from recsmith.contracts.config import Choice
from recsmith.contracts.errors import StudyError
from recsmith.contracts.plan import Plan
from recsmith.contracts.space import SearchSpace
from recsmith.records.clock import recorded_seconds
from recsmith.records.first_trials import Recalled
from recsmith.records.identity import read_identity
from recsmith.records.storage import open_storage
from recsmith.records.trial_folder import TrialFolder

if TYPE_CHECKING:
    from datetime import datetime

    from optuna import Study
    from optuna.trial import FrozenTrial

    from recsmith.contracts.results import TrialResult

RowState = Literal["complete", "pruned", "failed", "running", "waiting", "retried"]
FINISHED: tuple[RowState, ...] = ("complete", "pruned", "failed")  # what a budget of trials counts


@dataclass(frozen=True)
class TrialRow:
    """One trial as the study records it."""

    number: int
    root: int  # the number under which it was first asked for
    state: RowState
    origin: str  # "default", "memory", "suggested" or "retry"
    place: int | None  # among the first trials, where it is one of them
    model: str | None
    configuration: Choice | None  # None while it waits
    params: dict[str, Any]  # by full path
    value: float | None
    metrics: dict[str, float]
    best_epoch: int | None
    seconds: float
    reason: str | None
    traceback: str | None
    started: datetime | None
    ended: datetime | None


class StudyView:
    """The recorded facts of one study."""

    def __init__(self, study: Study, folder: Path) -> None:
        self._study = study
        self.folder = folder

    @classmethod
    def open(cls, folder: Path | str) -> StudyView:
        """Look at the study in `folder`, running or not.

        Raises:
            StudyError: there is no study, or its database cannot be read.
        """
        import optuna

        folder = Path(folder)
        identity = read_identity(folder)
        if identity is None:
            raise StudyError(f"{folder}: there is no study here (no study.json). Start one with `recsmith study run`.")
        storage = open_storage(folder, identity.plan.storage, read_only=True)
        try:
            study = optuna.load_study(study_name=identity.plan.name, storage=storage)
        except KeyError:
            raise StudyError(f"{folder}: its database holds no study {identity.plan.name!r}.") from None
        return cls(study, folder)

    @property
    def attributes(self) -> dict[str, Any]:
        """What was fixed when the study began: plan, space, hashes, versions, moment."""
        return dict(self._study.user_attrs)

    @property
    def plan(self) -> Plan:
        """The plan with which the study began."""
        return Plan.model_validate(self.attributes["plan"])

    @property
    def space(self) -> SearchSpace:
        """The resolved space; a resume searches this one, whatever is installed by then."""
        return SearchSpace.model_validate(self.attributes["space"])

    @property
    def recalled(self) -> Recalled | None:
        """What the study took from the memory; None where it was not asked to, or has not begun."""
        found = self.attributes.get("recalled")
        return None if found is None else Recalled.model_validate(found)

    @property
    def direction(self) -> Literal["maximize", "minimize"]:
        """Which way the objective is better."""
        return "maximize" if self._study.direction.name == "MAXIMIZE" else "minimize"

    @property
    def seconds(self) -> float:
        """Running time of all drivers so far."""
        return recorded_seconds(self.folder)

    def rows(self) -> list[TrialRow]:
        """Every trial, by number."""
        return [_row(trial) for trial in self._study.get_trials(deepcopy=False)]

    def counts(self) -> dict[RowState, int]:
        """How many trials are in each state."""
        counts: dict[RowState, int] = dict.fromkeys((*FINISHED, "running", "waiting", "retried"), 0)
        for trial in self._study.get_trials(deepcopy=False):
            counts[row_state(trial)] += 1
        return counts

    def finished(self) -> int:
        """How much of a budget of trials is used."""
        counts = self.counts()
        return sum(counts[state] for state in FINISHED)

    def ranked(self) -> list[TrialRow]:
        """The complete trials, that with the best objective first, the earliest of equals before the others."""
        sign = 1.0 if self.direction == "minimize" else -1.0
        complete = [row for row in self.rows() if row.state == "complete" and row.value is not None]
        return sorted(complete, key=lambda row: (sign * (row.value or 0.0), row.number))

    def best(self) -> TrialRow | None:
        """The complete trial with the best objective; None where none is complete."""
        return next(iter(self.ranked()), None)

    def trial_folder(self, root: int) -> TrialFolder:
        """The folder of a root trial."""
        return TrialFolder(self.folder / "trials" / str(root))

    def result(self, root: int) -> TrialResult | None:
        """The full result of a root trial, its history included; None while it has not ended."""
        return self.trial_folder(root).result()


def row_state(trial: FrozenTrial) -> RowState:
    """Our state of an Optuna trial: a row that failed because its driver died, or time was up, is "retried"."""
    name = trial.state.name
    if name == "FAIL":
        return "retried" if "retried" in trial.user_attrs else "failed"
    states: dict[str, RowState] = {
        "COMPLETE": "complete",
        "PRUNED": "pruned",
        "RUNNING": "running",
        "WAITING": "waiting",
    }
    return states[name]


def _row(trial: FrozenTrial) -> TrialRow:
    attributes = trial.user_attrs
    configuration = attributes.get("configuration")
    return TrialRow(
        number=trial.number,
        root=attributes.get("root", trial.number),
        state=row_state(trial),
        origin=attributes.get("origin", "suggested"),
        place=attributes.get("place"),
        model=attributes.get("model"),
        configuration=None if configuration is None else Choice.model_validate(configuration),
        params=dict(trial.params),
        value=trial.values[0] if trial.values else None,
        metrics=attributes.get("metrics", {}),
        best_epoch=attributes.get("best_epoch"),
        seconds=attributes.get("seconds", 0.0),
        reason=attributes.get("reason"),
        traceback=attributes.get("traceback"),
        started=trial.datetime_start,
        ended=trial.datetime_complete,
    )
