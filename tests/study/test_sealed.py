"""Nothing before the refit reads the test split: two logs that differ only there give the same search."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from recsmith.contracts.errors import StudyError
from recsmith.data.split import make_split
from recsmith.records.study_result import read_study_result, write_study_result
from recsmith.records.study_view import StudyView
from recsmith.study.frames import find_best
from recsmith.wiring.plan import load_plan
from recsmith.wiring.plugins import load_plugins

SETTINGS = {
    "trials": 5,
    "seed": 3,
    "engine": {"name": "inline"},
    "space": {"model": ["popularity", "ease", "item_knn", "bpr_mf"], "model.bpr_mf.training.epochs": 2},
}


def log(last_items: str) -> pd.DataFrame:
    """40 users with 8 interactions each; the last item of every user is drawn anew, or one that nobody else has."""
    rng = np.random.default_rng(0)
    rows = [(f"u{user}", f"i{rng.integers(30)}", 100 * user + step) for user in range(40) for step in range(8)]
    frame = pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"])
    last = frame.groupby("user_id")["timestamp"].idxmax()
    drawn = np.random.default_rng(9).integers(30, size=len(last))
    frame.loc[last, "item_id"] = ["i0", *(last_items.format(item) for item in drawn[1:])]
    return frame


@pytest.fixture(scope="module")
def studies(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sealed")
    for name, items in (("one", "i{}"), ("other", "n{}")):
        find_best(log(items), folder / name, **SETTINGS)
    return StudyView.open(folder / "one"), StudyView.open(folder / "other")


def test_trials_and_validation_figures_do_not_depend_on_the_test_rows(studies):
    one, other = ([(row.params, row.metrics, row.state) for row in view.rows()] for view in studies)
    assert one == other


def test_the_test_figure_does(studies):
    assert studies[0].folder != studies[1].folder
    figures = [(view.folder / "result.json").read_text() for view in studies]
    assert figures[0] != figures[1]


def test_the_seal_holds_until_the_search_is_over():
    registry = load_plugins().registry
    plan = load_plan("any")
    from recsmith.data.dataset import load_dataset

    split = make_split(load_dataset(plan.data, registry, log("i{}")), plan, registry)
    with pytest.raises(StudyError, match="sealed"):
        split.sealed.open()
    split.sealed.release("a test")
    assert len(split.sealed.open().holdout) == 40


def test_a_refit_that_another_epoch_has_overtaken_is_done_again(studies):
    """A trial that time had cut off is exported at its best epoch so far, and goes on later."""
    folder = studies[0].folder
    whole = read_study_result(folder)
    overtaken = whole.best.model_copy(update={"best_epoch": 99})
    write_study_result(folder, whole.model_copy(update={"best": overtaken}))
    assert find_best(log("i{}"), folder, **SETTINGS).best.best_epoch == whole.best.best_epoch


def test_the_same_plan_and_seed_give_the_same_trials_and_figures_twice(studies, tmp_path):
    find_best(log("i{}"), tmp_path / "again", **SETTINGS)
    again = StudyView.open(tmp_path / "again")
    assert [(r.params, r.metrics, r.state) for r in again.rows()] == [
        (r.params, r.metrics, r.state) for r in studies[0].rows()
    ]
