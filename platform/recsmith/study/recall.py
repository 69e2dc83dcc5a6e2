"""What a study takes from the memory when it begins, and gives to it when it ends."""

from __future__ import annotations

import datetime as dt
import logging
import math
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from recsmith.contracts.errors import SpaceError, StudyError
from recsmith.data.meta_features import meta_features
from recsmith.records.first_trials import First, Recalled
from recsmith.records.study_store import SHOWN, RememberedStudy, RememberedTrial
from recsmith.records.study_view import FINISHED, StudyView
from recsmith.search.carry import carry
from recsmith.search.portfolio import Outcome, nearness, portfolio
from recsmith.search.prior import model_order
from recsmith.search.searcher import SHARE_OF_FIRST, default_trials
from recsmith.study.landmarks import landmarks
from recsmith.study.setup import families, set_up
from recsmith.wiring.plan import DATAFRAME
from recsmith.wiring.plugins import load_plugins

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from recsmith.records.study_record import StudyRecord
    from recsmith.records.study_store import StudyStore
    from recsmith.records.study_view import TrialRow
    from recsmith.study.setup import Setup

NAMED = 3  # nearest data sets that are named

_logger = logging.getLogger(__name__)


def recall(store: StudyStore, setup: Setup, record: StudyRecord) -> None:
    """Decide what is tried first and write it down, where the study has not begun; later it is not asked again."""
    if record.view.recalled is not None or record.view.rows():
        return
    studies, faults = store.read()
    recalled = first_trials(setup, features_of(setup), studies)
    notes = [f"{fault.path}: left aside: {fault.reason}" for fault in faults]
    record.keep_recalled(recalled.model_copy(update={"notes": (*recalled.notes, *notes)}))


def remember(store: StudyStore, view: StudyView) -> None:
    """Add a study that has ended. The memory is no part of it: where it cannot be written, that is said and no more."""
    try:
        store.add(remembered(view))
    except StudyError as error:
        _logger.warning("%s The study is whole; `recsmith memory add %s` adds it later.", error, view.folder)


def features_of(setup: Setup) -> dict[str, float]:
    """The meta-features of a study's data set, landmarks included."""
    fold = setup.split.search
    return meta_features(fold) | landmarks(fold, setup.plan, setup.registry)


def first_trials(setup: Setup, features: Mapping[str, float], studies: Sequence[RememberedStudy]) -> Recalled:
    """A portfolio of what is remembered, then the defaults in the order of the shipped prior.

    Args:
        setup: the new study.
        features: its meta-features.
        studies: what is remembered; those of another scenario, or without the objective, are left aside.
    """
    plan, notes = setup.plan, list[str]()
    fitting = [study for study in studies if study.scenario == plan.scenario and _judged(study, plan.aim)]
    if len(fitting) < len(studies):
        notes.append(f"Studies of another scenario, or that do not know {plan.aim}: {len(studies) - len(fitting)}.")
    groups = _by_data(fitting)
    weights = nearness(features, [group[-1].meta_features for group in groups])
    outcomes = [_outcomes(group, setup, notes) for group in groups]
    chosen = portfolio(setup.space, outcomes, weights, maximize=setup.direction == "maximize")
    first = [First(origin="memory", model=outcome.model, point=dict(outcome.point)) for outcome in chosen]
    for place, outcome in enumerate(chosen):
        notes.extend(f"first trial {place} ({outcome.model}): {moved}." for moved in outcome.moved)
    taken = [seed.point for seed in first]
    usual = default_trials(setup.space, families(setup.space, setup.registry), model_order())
    return Recalled(
        meta_features=dict(features),
        first=(*first, *(default for default in usual if default.point not in taken)),
        notes=(_summary(groups, weights, len(first)), *notes),
    )


def remembered(view: StudyView, features: Mapping[str, float] | None = None) -> RememberedStudy:
    """A study as the memory keeps it.

    Args:
        view: the study.
        features: the meta-features of its data set; None where the study has recorded them.

    Raises:
        StudyError: no trial has ended.
    """
    trials = tuple(_trial(row) for row in view.rows() if row.state in FINISHED and row.configuration is not None)
    if not trials:
        raise StudyError(f"{view.folder}: no trial has ended, so there is nothing to remember yet.")
    plan, facts = view.plan, view.attributes
    return RememberedStudy(
        key=facts["folder_id"],
        name=plan.name,
        added=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        scenario=plan.scenario,
        objective=plan.aim,
        direction=view.direction,
        mask_seen=plan.mask_seen,
        split_hash=facts["split_hash"],
        meta_features=dict(view.recalled.meta_features if features is None and view.recalled else features or {}),
        trials=trials,
    )


def remembered_folder(folder: Path) -> RememberedStudy:
    """The study in a folder as the memory keeps it; its log is read again where it did not record what is needed.

    Raises:
        RecsmithError: there is no study, or its log is gone, cannot be read, or has changed.
    """
    view = StudyView.open(folder)
    if view.recalled is not None:
        return remembered(view)
    plan = view.plan
    if plan.data.source == DATAFRAME:
        raise StudyError(
            f"{folder}: its log was a table in memory that is gone. Run the study with `memory` in its plan instead."
        )
    setup = set_up(plan, load_plugins(plan.plugins, plan.without).registry)
    if setup.split.hash != view.attributes["split_hash"]:
        raise StudyError(f"{folder}: {plan.data.source} has changed since, so its numbers are not those of the study.")
    return remembered(view, features_of(setup))


def _trial(row: TrialRow) -> RememberedTrial:
    finite = {name: value for name, value in row.metrics.items() if math.isfinite(value)}
    facts = {"configuration": row.configuration, "state": row.state, "metrics": finite, "seconds": row.seconds}
    return RememberedTrial.model_validate(facts)


def _judged(study: RememberedStudy, objective: str) -> bool:
    return any(objective in trial.metrics for trial in study.trials)


def _by_data(studies: Iterable[RememberedStudy]) -> list[list[RememberedStudy]]:
    """The studies of each data set: the same interactions, split and judged alike."""
    groups = defaultdict(list)
    for study in studies:
        groups[study.split_hash, study.mask_seen].append(study)
    return list(groups.values())


def _outcomes(studies: Sequence[RememberedStudy], setup: Setup, notes: list[str]) -> list[Outcome]:
    """The trials on one data set as points of this study's space; what does not fit is skipped, with a sentence."""
    found: list[Outcome] = []
    for study in studies:
        growth, skipped = _growth(setup, study), Counter[str]()
        for trial in study.trials:
            try:
                found.append(_outcome(trial, setup, trial.seconds * growth))
            except SpaceError as error:
                skipped[str(error)] += 1
        notes.extend(f"{study.name} ({study.key[:SHOWN]}): trials skipped: {n}: {why}" for why, n in skipped.items())
    return found


def _growth(setup: Setup, study: RememberedStudy) -> float:
    """How many times more interactions this study learns from, 1 at least."""
    here = float(max(len(setup.split.search.train.histories.item_num), 1))
    there = study.meta_features.get("interactions")
    return 1.0 if there is None else max(1.0, here / 10**there)


def _outcome(trial: RememberedTrial, setup: Setup, seconds: float) -> Outcome:
    """A trial here, where it would take so many seconds.

    Raises:
        SpaceError: it is no candidate.
    """
    plan, name = setup.plan, trial.configuration.name
    if plan.budget.time is not None and seconds > plan.budget.time / SHARE_OF_FIRST:
        raise SpaceError(f"{name} would take more than a third of the time.")
    carried = carry(setup.space, trial.configuration)
    value = None if trial.state == "failed" else trial.metrics.get(plan.aim)
    return Outcome(carried.point, name, value, seconds, carried.moved)


def _summary(groups: Sequence[Sequence[RememberedStudy]], weights: Iterable[float], seeds: int) -> str:
    if not groups:
        return "Nothing is remembered that fits this study: the defaults come in the order of the shipped prior."
    nearest = sorted(zip(weights, (group[-1].name for group in groups), strict=True), reverse=True)[:NAMED]
    named = ", ".join(f"{name} ({weight:.0%})" for weight, name in nearest)
    return f"First trials from the memory: {seeds}; data sets: {len(groups)}; nearest: {named}. Then come the defaults."
