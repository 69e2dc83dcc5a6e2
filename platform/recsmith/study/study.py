"""The straight line: a log becomes a split, a space, trials, a refit, a test figure and an artifact."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from recsmith.artifacts.place import refuse_stranger
from recsmith.contracts.artifact import MANIFEST
from recsmith.contracts.errors import ArtifactError, NotFiniteError, PluginError, StudyError
from recsmith.contracts.plan import TrialPlan
from recsmith.contracts.results import PassedOver, StudyResult
from recsmith.records.study_record import StudyRecord
from recsmith.records.study_result import read_study_result, write_study_result
from recsmith.records.study_store import StudyStore
from recsmith.search.execute import nodes_ready, search
from recsmith.search.searcher import Listener, Task
from recsmith.search.suggest import derive_seed
from recsmith.study.observers import tell
from recsmith.study.recall import recall, remember
from recsmith.study.refit import candidates, judge_once, learn_again, save
from recsmith.study.setup import FEATURES, families, set_up
from recsmith.study.worker import run_planned
from recsmith.wiring.plugins import load_plugins

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from recsmith.contracts.plan import Plan
    from recsmith.contracts.results import Figure, TrialResult
    from recsmith.records.study_record import Asked
    from recsmith.records.study_view import StudyView
    from recsmith.study.setup import Setup
    from recsmith.wiring.plugins import LoadedPlugins

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
        RecsmithError: plan, log, space, folder or cluster cannot be used (nothing is written), or no trial finished an
            epoch.
        KeyboardInterrupt: the search was interrupted; it ended in order and can be resumed.
    """
    folder = Path(folder or f"{plan.name}-study").absolute()
    refuse_stranger(folder / ARTIFACT)
    store = None if plan.memory is None else StudyStore.at(plan.memory)
    if store is not None:
        store.prepare()
    loaded = load_plugins(plan.plugins, plan.without)
    manager = loaded.manager
    for observer in observers:
        manager.register(observer)
    setup = set_up(plan, loaded.registry, frame=frame, folder=folder)
    with (
        nodes_ready(plan.engine, loaded, folder),
        StudyRecord.open(
            folder,
            plan,
            setup.space,
            setup.split.hash,
            direction=setup.direction,
            fingerprint=setup.dataset.fingerprint,
        ) as record,
    ):
        if store is not None:
            recall(store, setup, record)
        tell(manager, "study_started", plan=plan)
        listener = Listener(
            lambda trial, report: tell(manager, "epoch_finished", trial=trial, report=report),
            lambda result: tell(manager, "trial_finished", result=result),
        )
        ending = search(record, _task(setup, folder), budget=plan.budget, engine=plan.engine, listener=listener)
        if ending == "interrupted":
            raise KeyboardInterrupt(f"{folder}: interrupted. `recsmith study resume {folder}` goes on.")
        result = _finish(setup, record, loaded)
        if store is not None:
            remember(store, record.view)
        return result


def _task(setup: Setup, folder: Path) -> Task:
    """How a trial of this study is described and run."""
    plan = setup.plan
    plugins = tuple(sorted(set(setup.registry.origins.values())))  # exactly these, also where more is installed

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
            cache=str(folder / FEATURES),
            cache_bytes=plan.engine.cache_bytes,
            plugins=plugins,
            without=plan.without,
        )

    return Task(
        setup.plan.aim, tuple(families(setup.space, setup.registry)), make_plan, run_planned, setup.split.search
    )


def _finish(setup: Setup, record: StudyRecord, loaded: LoadedPlugins) -> StudyResult:
    """Refit, judge once, save. Done again only when the search has found better since.

    A model that led the search and whose plugin then fails is passed over: the best of another model takes its place.
    """
    view = record.view
    before = read_study_result(record.folder)
    passed: list[PassedOver] = []  # tried anew by every driver: the plugin may have been mended
    for row, result in candidates(view):
        if result.configuration.name in {over.model for over in passed}:
            continue
        same = before is not None and (before.best.root, before.best.best_epoch) == (row.root, result.best_epoch)
        if before is not None and same and Path(before.artifact).is_dir():
            now = {"counts": _counts(view), "seconds": round(view.seconds, 1), "passed_over": tuple(passed)}
            return before.model_copy(update=now)
        try:
            artifact, test = _export(setup, view, result, record.folder / ARTIFACT)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - raised again where no plugin is to blame
            passed.append(_passed_over(result, error, loaded))
            continue
        manifest = json.loads((artifact / MANIFEST).read_text(encoding="utf-8"))
        tell(loaded.manager, "artifact_saved", path=artifact, manifest=manifest)
        found = StudyResult(
            name=setup.plan.name,
            folder=str(record.folder),
            best=result,
            test=test,
            split_hash=setup.split.hash,
            artifact=str(artifact),
            counts=_counts(view),
            seconds=round(view.seconds, 1),
            passed_over=tuple(passed),
        )
        write_study_result(record.folder, found)
        tell(loaded.manager, "study_finished", result=found)
        return found
    raise StudyError(f"{record.folder}: no model could be learnt again: " + "; ".join(over.reason for over in passed))


def _counts(view: StudyView) -> dict[str, int]:
    return {str(state): count for state, count in view.counts().items()}


def _export(setup: Setup, view: StudyView, result: TrialResult, place: Path) -> tuple[Path, dict[str, Figure]]:
    """Learn on train + valid, judge on test, save."""
    setup.split.sealed.release("the search has ended")
    fold = setup.split.sealed.open()
    prepared = learn_again(result, fold, setup)
    test = judge_once(prepared, fold, setup)
    return save(place, prepared, fold, setup, view=view, result=result, test=test, refit="train+valid"), test


def _passed_over(result: TrialResult, error: BaseException, loaded: LoadedPlugins) -> PassedOver:
    """Why a trial is passed over; what no plugin did is raised again."""
    culprit = loaded.culprit(error)
    if culprit is None and not isinstance(error, (NotFiniteError, PluginError, ArtifactError)):
        raise error
    name = result.configuration.name
    where = f" (plugin {culprit.name} of {culprit.distribution} {culprit.version})" if culprit else ""
    return PassedOver(number=result.number, model=name, reason=f"{name}: {type(error).__name__}: {error}{where}")
