"""A study's best configuration over time blocks: is it better updated, learnt anew, or left as it is?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from recsmith.contracts.config import Choice
from recsmith.contracts.data import TEST
from recsmith.contracts.errors import UpdateError
from recsmith.data.dataset import load_dataset
from recsmith.data.split import USUAL
from recsmith.records.study_result import read_study_result
from recsmith.records.study_view import StudyView
from recsmith.study.refit import candidates, chosen
from recsmith.updates.judgement import Bench
from recsmith.updates.prequential import BlockFigures, differences, prequential
from recsmith.wiring.plugins import load_plugins

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import pandas as pd

    from recsmith.contracts.artifact import Compared
    from recsmith.contracts.plan import Plan
    from recsmith.contracts.results import TrialResult
    from recsmith.data.coded import Dataset
    from recsmith.updates.settings import UpdateSettings
    from recsmith.wiring.registry import Registry


@dataclass(frozen=True, eq=False)
class Streamed:
    """What was found over time."""

    model: str
    objective: str
    blocks: Sequence[BlockFigures]
    differences: Mapping[str, Compared]  # by rival: from it to the policy "update"


def stream_study(
    folder: Path,
    settings: UpdateSettings,
    *,
    blocks: int = 5,
    trial: int | None = None,
    frame: pd.DataFrame | None = None,
) -> Streamed:
    """Judge the policies on the log of a study, which is only read.

    In the scenario streaming the first block is what the study has learnt from before its test, so that the blocks that
    are judged had no say in its settings.

    Args:
        folder: the study's.
        settings: how an update learns.
        blocks: into how many blocks of equal size the log is cut.
        trial: number of a complete trial; None for the one of the study's artifact, or the best so far.
        frame: the log, when the study's source is "<dataframe>".

    Raises:
        RecsmithError: there is no such study or trial, or its log cannot be judged over time.
    """
    view = StudyView.open(folder)
    plan = view.plan
    registry = load_plugins(plan.plugins, plan.without).registry
    known = read_study_result(folder)
    number = known.best.number if trial is None and known is not None else trial
    _, result = next(candidates(view)) if number is None else chosen(view, number)
    scenario = "rating" if plan.scenario == "rating" else "next_item"
    bench = Bench(plan.aim, (), scenario, plan.mask_seen, registry, plan.seed)
    dataset = load_dataset(plan.data, registry, frame)
    try:
        start = _before_the_test(dataset, plan, registry) if plan.scenario == "streaming" else 0
        found = list(prequential(dataset, _as_learnt(result), bench, settings, blocks=blocks, start=start))
    except MemoryError as error:
        raise UpdateError(f"{folder}: {error}.") from error
    return Streamed(result.configuration.name, plan.aim, found, differences(found, bench))


def _before_the_test(dataset: Dataset, plan: Plan, registry: Registry) -> int:
    """How many of the first rows come before the first one of the test."""
    splitter = registry.build("splitters", plan.split or USUAL[plan.scenario], registry.context())
    return int(np.argmax(splitter.split(dataset.log, plan.seed) == TEST))


def _as_learnt(result: TrialResult) -> Choice:
    """The trial's configuration, with as many epochs as were best for it."""
    configuration = result.configuration
    if "training" not in configuration.params:
        return configuration
    training = {**configuration.params["training"], "epochs": result.best_epoch}
    return Choice(name=configuration.name, params={**configuration.params, "training": training})
