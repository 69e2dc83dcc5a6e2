"""Results: what came out, as plain data."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from recsmith.contracts.config import Choice

TrialState = Literal["complete", "pruned", "failed"]


class Result(BaseModel):
    """A closed, frozen piece of a result."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Figure(Result):
    """A metric with the bootstrap interval over users."""

    value: float
    low: float
    high: float


class EpochReport(Result):
    """What a trial says after an epoch (or after its only fit)."""

    epoch: int  # from 1
    metrics: dict[str, float]  # on the validation split
    loss: float | None = None  # mean training loss
    factors: tuple[float, ...] = ()  # learning-rate factors through the epoch, evenly spaced
    seconds: float  # of this epoch, judging included
    last: bool = False  # no further epoch follows by the trial's own decision, so nobody can stop it any more


class TrialResult(Result):
    """How a trial ended."""

    number: int
    root: int
    state: TrialState
    reason: str | None = None  # why it was pruned or failed
    traceback: str | None = None  # of an error that was the plugin's
    infeasible: bool = False  # NaN or out of memory: the sampler keeps away from there
    configuration: Choice
    best_epoch: int | None = None
    value: float | None = None  # the objective at the best epoch
    metrics: dict[str, float] = Field(default_factory=dict)  # at the best epoch
    history: tuple[EpochReport, ...] = ()
    seconds: float = 0.0


class PassedOver(Result):
    """A trial that led the search, and could not be learnt again or saved."""

    number: int
    model: str
    reason: str  # with the plugin in which it happened


class StudyResult(Result):
    """What a study found."""

    name: str
    folder: str
    best: TrialResult
    test: dict[str, Figure]
    split_hash: str
    artifact: str
    counts: dict[str, int]
    seconds: float
    passed_over: tuple[PassedOver, ...] = ()  # better on validation than `best`
