"""Asynchronous successive halving, one ladder of rungs per family of models.

With shared rungs the final score of a closed-form model, reported at epoch 1, would end every network. The ladder is
Ray Tune's own AsyncHyperBandScheduler (Li et al., A system for massively parallel hyperparameter tuning, 2020). It is
asked directly and not hung into Tune: Tune's STOP ends a function in mid-air, ours is told at its report and ends in
order, with its result written; and the executor in this process needs no Tune.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from recsmith.contracts.results import EpochReport

GRACE = 3  # epochs that every trial may run
REDUCTION = 3  # one of so many passes a rung


@dataclass(frozen=True)
class Family:
    """What the search must know of a model: how long a trial takes, and for how many epochs it may learn."""

    name: str
    cost: Literal["seconds", "minutes", "hours"] = "seconds"
    epochs: int | None = None  # at most; None: closed form, fitted in one go


@dataclass(frozen=True)
class _StandIn:
    """All that the scheduler reads of a trial."""

    trial_id: str


class Asha:
    """Says of every epoch whether its trial may go on."""

    def __init__(self, families: Iterable[Family], objective: str, direction: Literal["maximize", "minimize"]) -> None:
        self._objective = objective
        self._mode = "max" if direction == "maximize" else "min"
        self._ladders = {f.name: self._ladder(f.epochs) for f in families if f.epochs is not None and f.epochs > GRACE}
        self._heard: dict[int, int] = {}  # root -> last epoch

    def goes_on(self, family: str, root: int, report: EpochReport) -> bool:
        """Enter the epoch into the family's rungs; False when the trial is to end here.

        An epoch that was heard before decides nothing: a resumed trial keeps its places.
        """
        ladder = self._ladders.get(family)
        if ladder is None or report.epoch <= self._heard.get(root, 0):
            return True
        trial = _StandIn(str(root))
        if root not in self._heard:
            ladder.on_trial_add(None, trial)
        self._heard[root] = report.epoch
        facts = {"epoch": report.epoch, self._objective: report.metrics.get(self._objective)}
        if facts[self._objective] is None:
            return True
        from ray.tune.schedulers import TrialScheduler

        return bool(ladder.on_trial_result(None, trial, facts) != TrialScheduler.STOP)

    def replay(self, family: str, root: int, history: Iterable[EpochReport]) -> None:
        """Put the recorded epochs of a trial back into the rungs."""
        for report in history:
            self.goes_on(family, root, report)

    def _ladder(self, epochs: int) -> Any:
        from ray.tune.schedulers import AsyncHyperBandScheduler

        return AsyncHyperBandScheduler(
            time_attr="epoch",
            metric=self._objective,
            mode=self._mode,
            max_t=epochs,
            grace_period=GRACE,
            reduction_factor=REDUCTION,
            stop_last_trials=False,  # a trial that reaches its last epoch is complete, not stopped
        )
