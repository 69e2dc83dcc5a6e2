"""A study of a table that is already in memory, in one line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from recsmith.study.study import run_study
from recsmith.wiring.documents import Document
from recsmith.wiring.plan import DATAFRAME, check_plan, put

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from recsmith.contracts.results import StudyResult


def find_best(
    frame: pd.DataFrame, folder: Path | str, *, trials: int | None = None, time: float | str | None = None, **plan: Any
) -> StudyResult:
    """Run a study on a DataFrame of interactions.

    Args:
        frame: one interaction a row; columns are guessed as in a file, or named in `data={"columns": {...}}`.
        folder: where the study is kept.
        trials: how many trials.
        time: how long in all, seconds or a text such as "10m".
        plan: any other key of a plan: scenario, seed, space, engine, …

    Raises:
        RecsmithError: the plan or the table cannot be used.
    """
    content: dict[str, Any] = {"name": "dataframe", **plan}
    put(content, "data.source", DATAFRAME)
    for key, value in (("budget.trials", trials), ("budget.time", time)):
        if value is not None:
            put(content, key, value)
    return run_study(check_plan(Document("plan", content)), folder, frame=frame)
