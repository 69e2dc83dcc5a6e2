"""One trial, top to bottom: prepare, learn epoch by epoch, judge, report, decide. The same here and in a worker."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from recsmith.contracts.results import EpochReport, TrialResult
from recsmith.data.feature_cache import FeatureCache
from recsmith.evaluation.judge import judge
from recsmith.evaluation.names import direction
from recsmith.records.trial_folder import Checkpoint, JudgedLists, TrialFolder
from recsmith.study.prepare import learn, prepare

if TYPE_CHECKING:
    from collections.abc import Iterator

    from recsmith.contracts.data import Fold
    from recsmith.contracts.plan import TrialPlan
    from recsmith.evaluation.judge import Evaluation
    from recsmith.search.work import Report
    from recsmith.study.prepare import Prepared
    from recsmith.training.loop import EpochDone
    from recsmith.wiring.registry import Registry


def run_trial(plan: TrialPlan, fold: Fold, registry: Registry, report: Report) -> TrialResult:
    """Learn one configuration on the fold's training rows and judge it on the holdout after every epoch.

    A trial that was stopped goes on from its last checkpoint; the epochs before are reported again.

    Args:
        plan: what to learn, and the folder that keeps its history and checkpoint.
        fold: training rows and validation requests.
        registry: the plugins in play.
        report: hears every epoch; when it returns False the trial ends there and then.

    Raises:
        NotFiniteError: a loss or a score is NaN or infinite.
    """
    run = _Run(plan, fold, registry)
    run.to_the_end(report)
    return run.result()


class _Run:
    """The trial under way: its history, and which epoch is the best."""

    def __init__(self, plan: TrialPlan, fold: Fold, registry: Registry) -> None:
        self.plan = plan
        self.fold = fold
        self.registry = registry
        self.folder = TrialFolder(plan.folder)
        self.history = self.folder.history()
        self.sign = 1.0 if direction(plan.objective, registry) == "maximize" else -1.0

    def to_the_end(self, report: Report) -> None:
        """Every epoch, first those of an earlier run."""
        for old in self.history:
            if not report(old) or old.last:
                return
        started = time.monotonic()
        plan = self.plan
        cache = FeatureCache(Path(plan.cache), plan.cache_bytes) if plan.cache else None
        prepared = prepare(
            plan.configuration, self.fold, self.registry, seed=plan.seed, device=plan.device, cache=cache
        )
        for done in self.epochs(prepared):
            evaluation = self.judge(prepared)
            done.observe(self.sign * evaluation.figures[plan.objective])
            said = self.keep(prepared, done, evaluation, time.monotonic() - started)
            if not report(said) or said.last:
                return
            started = time.monotonic()

    def epochs(self, prepared: Prepared) -> Iterator[EpochDone]:
        """The epochs that are still to be learnt."""
        checkpoint = self.folder.checkpoint()
        if checkpoint is None:
            self.history.clear()  # an epoch without a checkpoint is learnt again, to the same result
            return learn(prepared, self.fold.train)
        del self.history[checkpoint.epoch :]
        prepared.model.load(checkpoint.model)
        return learn(prepared, self.fold.train, resume=checkpoint.trainer)

    def judge(self, prepared: Prepared) -> Evaluation:
        plan = self.plan
        return judge(
            prepared.serving,
            self.fold,
            plan.metrics,
            self.registry,
            scenario=plan.scenario,
            mask_seen=plan.mask_seen,
        )

    def keep(self, prepared: Prepared, done: EpochDone, evaluation: Evaluation, seconds: float) -> EpochReport:
        """Write the epoch down before anybody hears of it."""
        said = EpochReport(
            epoch=done.epoch, metrics=dict(evaluation.figures), loss=done.loss, factors=done.factors, seconds=seconds
        )
        said = said.model_copy(update={"last": self.is_last(prepared, said)})
        self.folder.append(said)
        self.history.append(said)
        if self.best() is said and evaluation.lists is not None and evaluation.scores is not None:
            self.folder.write_lists(JudgedLists(evaluation.lists.items, evaluation.scores, evaluation.per_request))
        if not said.last:
            self.folder.write_checkpoint(Checkpoint(said.epoch, prepared.model.state(), done.state()))
        return said

    def is_last(self, prepared: Prepared, said: EpochReport) -> bool:
        """Whether the trial itself has had enough: all epochs done, or no better score within its patience."""
        training = prepared.training
        if training is None or said.epoch >= training.epochs:
            return True
        values = [self.sign * old.metrics[self.plan.objective] for old in (*self.history, said)]
        return len(values) - 1 - values.index(max(values)) >= training.patience

    def best(self) -> EpochReport | None:
        """The first epoch with the best objective."""
        return max(self.history, key=lambda said: self.sign * said.metrics[self.plan.objective], default=None)

    def result(self) -> TrialResult:
        best = self.best()
        return TrialResult(
            number=self.plan.number,
            root=self.plan.root,
            state="complete",
            configuration=self.plan.configuration,
            best_epoch=best.epoch if best else None,
            value=best.metrics[self.plan.objective] if best else None,
            metrics=best.metrics if best else {},
            history=tuple(self.history),
            seconds=sum(said.seconds for said in self.history),
        )
