"""An artifact of a finished or half-finished study, on demand."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from recsmith.artifacts.export import export_artifact as export_verified
from recsmith.contracts.config import Choice
from recsmith.contracts.errors import ArtifactError, StudyError
from recsmith.records.study_result import read_study_result
from recsmith.records.study_view import StudyView
from recsmith.study.refit import candidates, chosen, judge_once, learn_again, save
from recsmith.study.setup import set_up
from recsmith.wiring.plugins import load_plugins

if TYPE_CHECKING:
    import pandas as pd


def export_artifact(
    study: Path,
    destination: Path,
    *,
    trial: int | None = None,
    refit: Literal["train+valid", "all"] = "train+valid",
    form: str = "folder",
    frame: pd.DataFrame | None = None,
) -> Path:
    """Learn a trial's configuration again and write its artifact in the form of an exporter.

    With `refit="all"` the model learns from every interaction; the figures in its manifest are those measured on test
    by the model that had not seen it. The study folder is only read.

    Args:
        study: the study's folder.
        destination: what to write; nothing may stand there.
        trial: number of a complete trial; None for the one of the study's artifact, or the best so far.
        refit: the rows to learn from.
        form: name of an exporter.
        frame: the log, when the study's source is "<dataframe>".

    Raises:
        RecsmithError: there is no such study, trial or exporter, or the log is gone or has changed.
    """
    view = StudyView.open(study)
    if os.path.lexists(destination):  # the exporter would say so too, but only after the refit
        raise ArtifactError(f"{destination}: exists already: choose another place, or move it away.")
    plan = view.plan
    registry = load_plugins(plan.plugins, plan.without).registry
    registry.spec("exporters", form)
    known = read_study_result(study)
    number = known.best.number if trial is None and known is not None else trial
    row, result = next(candidates(view)) if number is None else chosen(view, number)
    setup = set_up(plan, registry, frame=frame, folder=study.absolute())
    if setup.split.hash != view.attributes["split_hash"]:
        raise StudyError(f"{plan.data.source}: the log has changed since the study began: its split is another one.")
    setup.split.sealed.release("the search has ended")
    fold = setup.split.sealed.open()
    judged = None if known is None or known.best.root != row.root else known.test
    if refit == "train+valid" or judged is None:
        prepared = learn_again(result, fold, setup)
        judged = judge_once(prepared, fold, setup)
    if refit == "all":
        fold = setup.split.sealed.everything()
        prepared = learn_again(result, fold, setup)
    with tempfile.TemporaryDirectory(prefix="recsmith-") as scratch:
        whole = save(
            Path(scratch) / "artifact", prepared, fold, setup, view=view, result=result, test=judged, refit=refit
        )
        return export_verified(whole, destination.absolute(), Choice(name=form), registry)
