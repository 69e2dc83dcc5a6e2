"""The straight line: a log becomes a split, a space, trials, a refit, a test figure and an artifact."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from recsmith.contracts.artifact import MANIFEST
from recsmith.contracts.plan import TrialPlan
from recsmith.contracts.results import StudyResult
from recsmith.records.study_record import StudyRecord
from recsmith.records.study_result import read_study_result, write_study_result
from recsmith.search.execute import search
from recsmith.search.searcher import Listener, Task
from recsmith.search.suggest import derive_seed
from recsmith.study.observers import tell
from recsmith.study.refit import chosen, judge_once, learn_again, save
from recsmith.study.setup import families, set_up
from recsmith.study.worker import run_planned
from recsmith.wiring.plugins import load_plugins

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from pluggy import PluginManager

    from recsmith.contracts.plan import Plan
    from recsmith.records.study_record import Asked
    from recsmith.study.setup import Setup

ARTIFACT = "artifact"  # in the study folder


def run_study(
    plan: Plan, folder: Path | str | None = None, *, frame: pd.DataFrame | None = None, observers: Sequence[object] = ()
) -> StudyResult:
    """Search on train -> valid, refit the best on train + valid, judge it once on test, save it.

    The same call on the same folder resumes. The test split is sealed: it can be opened only when the search is over.

    Args:
        plan: what to do.
        folder: where the study is kept; made where it is missing. None: the plan's name with "-study", here.
        frame: the log, when the plan's source is "<dataframe>".
        observers: objects with observer hooks, as a plugin has them.

    Raises:
        RecsmithError: plan, log, space or folder cannot be used (nothing is written), or no trial finished an epoch.
        KeyboardInterrupt: the search was interrupted; it ended in order and can be resumed.
    """
    folder = Path(folder or f"{plan.name}-study").absolute()
    loaded = load_plugins(plan.plugins, plan.without)
    manager = loaded.manager
    for observer in observers:
        manager.register(observer)
    setup = set_up(plan, loaded.registry, frame=frame, cache=folder / "features")
    with StudyRecord.open(
        folder,
        plan,
        setup.space,
        setup.split.hash,
        direction=setup.direction,
        fingerprint=setup.dataset.fingerprint,
    ) as record:
        tell(manager, "study_started", plan=plan)
        listener = Listener(
            lambda trial, report: tell(manager, "epoch_finished", trial=trial, report=report),
            lambda result: tell(manager, "trial_finished", result=result),
        )
        ending = search(record, _task(setup, folder), budget=plan.budget, engine=plan.engine, listener=listener)
        if ending == "interrupted":
            raise KeyboardInterrupt(f"{folder}: interrupted. `recsmith study resume {folder}` goes on.")
        return _finish(setup, record, manager)


def _task(setup: Setup, folder: Path) -> Task:
    """How a trial of this study is described and run."""
    plan = setup.plan

    def make_plan(asked: Asked) -> TrialPlan:
        return TrialPlan(
            number=asked.number,
            root=asked.root,
            folder=str(folder / "trials" / str(asked.root)),
            configuration=asked.configuration,
            seed=derive_seed(plan.seed, asked.root),
            scenario=plan.scenario,
            objective=plan.aim,
            metrics=setup.metrics,
            mask_seen=plan.mask_seen,
            device=setup.device,
            cache=str(setup.cache),
            plugins=plan.plugins,
            without=plan.without,
        )

    return Task(
        setup.plan.aim, tuple(families(setup.space, setup.registry)), make_plan, run_planned, setup.split.search
    )


def _finish(setup: Setup, record: StudyRecord, manager: PluginManager) -> StudyResult:
    """Refit, judge once, save. Done again only when the search has found better since."""
    view = record.view
    row, result = chosen(view)
    before = read_study_result(record.folder)
    same = before is not None and (before.best.root, before.best.best_epoch) == (row.root, result.best_epoch)
    if before is not None and same and Path(before.artifact).is_dir():
        return before.model_copy(update={"counts": dict(view.counts().items()), "seconds": round(view.seconds, 1)})
    setup.split.sealed.release("the search has ended")
    fold = setup.split.sealed.open()
    prepared = learn_again(result, fold, setup)
    test = judge_once(prepared, fold, setup)
    artifact = save(
        record.folder / ARTIFACT, prepared, fold, setup, view=view, result=result, test=test, refit="train+valid"
    )
    manifest = json.loads((artifact / MANIFEST).read_text(encoding="utf-8"))
    tell(manager, "artifact_saved", path=artifact, manifest=manifest)
    found = StudyResult(
        name=setup.plan.name,
        folder=str(record.folder),
        best=result,
        test=test,
        split_hash=setup.split.hash,
        artifact=str(artifact),
        counts=dict(view.counts().items()),
        seconds=round(view.seconds, 1),
    )
    write_study_result(record.folder, found)
    tell(manager, "study_finished", result=found)
    return found
