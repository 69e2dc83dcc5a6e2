"""What is tried next, and when the search is over. It knows of no executor."""

from __future__ import annotations

import logging
import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from recsmith.records.first_trials import First
from recsmith.search.asha import Asha
from recsmith.search.sampler import proposer
from recsmith.search.suggest import defaults
from recsmith.search.work import INTERRUPTED, PRUNED, TIME_IS_UP

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from recsmith.contracts.plan import Budget, TrialPlan
    from recsmith.contracts.results import EpochReport, TrialResult
    from recsmith.contracts.space import SearchSpace
    from recsmith.records.study_record import Asked, StudyRecord
    from recsmith.search.asha import Family
    from recsmith.search.work import Run

Ending = Literal["trials", "time", "interrupted"]

COSTS = ("seconds", "minutes", "hours")
SHARE_OF_FIRST = 3  # one third of the budget at most

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Task:
    """What is searched for, and how a trial is made and run.

    `run` must be importable in a worker, or picklable by value.
    """

    objective: str
    families: tuple[Family, ...]  # one for each model of the space
    make_plan: Callable[[Asked], TrialPlan]
    run: Run
    shared: object = None  # what every trial gets besides its plan; Ray keeps it once in the object store


@dataclass(frozen=True)
class Listener:
    """Who hears of epochs and trials, in the driver. An error in there is logged and stops nothing."""

    epoch_finished: Callable[[int, EpochReport], None] | None = None
    trial_finished: Callable[[TrialResult], None] | None = None


class Searcher:
    """Hands out trials, hears of them, and counts them against the budget."""

    def __init__(self, record: StudyRecord, task: Task, budget: Budget, listener: Listener) -> None:
        view = record.view
        self._record = record
        self._task = task
        self._listener = listener
        self._time = budget.time
        self._trials = budget.most_trials
        self._propose = proposer(view.space, view.plan.seed)
        self._interrupted = False
        self._asha = Asha(task.families, task.objective, view.direction)
        rows = view.rows()
        self._finished = view.finished()
        best = view.best()
        self._sign = 1.0 if view.direction == "maximize" else -1.0
        self._best = -math.inf if best is None or best.value is None else self._sign * best.value
        self._refit = 0.0 if best is None else best.seconds  # to learn the best again takes as long as it did
        recalled = view.recalled
        self._first = default_trials(view.space, task.families) if recalled is None else list(recalled.first)
        self._tried = {row.place for row in rows if row.place is not None}
        self.running: dict[int, TrialPlan] = {}
        for row in rows:
            if row.model and row.number == row.root:
                self._asha.replay(row.model, row.root, view.trial_folder(row.root).history())

    @property
    def ending(self) -> Ending | None:
        """Why nothing more is handed out; None while the search goes on."""
        if self._trials is not None and self._finished >= self._trials:
            return "trials"
        if self._interrupted:
            return "interrupted"
        if self._time is not None and self._left(self._time) <= 0:
            return "time"
        return None

    def _left(self, budget: float) -> float:
        """Seconds that the search may still take of the budget, the refit's share set aside."""
        return budget - self._refit - self._record.clock.seconds

    @property
    def stop_order(self) -> str | None:
        """What running trials are to be told; None while they may go on."""
        orders = {"interrupted": INTERRUPTED, "time": TIME_IS_UP}
        return orders.get(self.ending or "")

    def interrupt(self) -> None:
        """Hand out nothing more; running trials end at their next report and are queued again."""
        self._interrupted = True

    def next(self) -> TrialPlan | None:
        """The next trial; None when there is none now (the budget is used, or running trials may use it up)."""
        if self.ending or (self._trials is not None and self._finished + len(self.running) >= self._trials):
            return None
        asked = self._record.ask(self._propose, self._next_first())
        if asked.place is not None:
            self._tried.add(asked.place)
        plan = self._task.make_plan(asked)
        if self._time is not None:
            plan = plan.model_copy(update={"deadline": time.time() + self._left(self._time)})
        self.running[plan.number] = plan
        return plan

    def heard(self, number: int, report: EpochReport) -> str | None:
        """Hear of an epoch; the order for its trial, None to go on."""
        _guarded(self._listener.epoch_finished, number, report)
        plan = self.running[number]
        if not self._asha.goes_on(plan.configuration.name, plan.root, report):
            return PRUNED
        return self.stop_order

    def finish(self, number: int, result: TrialResult | None) -> None:
        """Record how a trial ended; None queues it again."""
        del self.running[number]
        if result is None:
            self._record.requeue(number)
            return
        self._record.complete(result)
        self._finished += 1
        if result.state == "complete" and result.value is not None and self._sign * result.value > self._best:
            self._best, self._refit = self._sign * result.value, result.seconds
        _guarded(self._listener.trial_finished, result)

    def _next_first(self) -> tuple[int, First] | None:
        enough = self._trials is not None and len(self._tried) >= max(1, self._trials // SHARE_OF_FIRST)
        late = self._time is not None and self._record.clock.seconds >= self._time / SHARE_OF_FIRST
        left = ((place, first) for place, first in enumerate(self._first) if place not in self._tried)
        return None if enough or late else next(left, None)


def default_trials(space: SearchSpace, families: Iterable[Family], order: Sequence[str] = ()) -> list[First]:
    """The default of every model: the cheapest family first, within it the models of `order` before the others."""
    rank = {family.name: COSTS.index(family.cost) for family in families}
    places = {name: place for place, name in enumerate(order)}
    found = sorted(defaults(space), key=lambda default: (rank[default[0]], places.get(default[0], len(places))))
    return [First(origin="default", model=model, point=point) for model, point in found]


def _guarded(hook: Callable[..., None] | None, *facts: object) -> None:
    if hook is None:
        return
    try:
        hook(*facts)
    except Exception:
        _logger.exception("an observer failed; the study goes on")
