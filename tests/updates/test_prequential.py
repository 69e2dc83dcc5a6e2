"""Three policies over time blocks."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from recsmith.cli.main import app
from recsmith.contracts.config import Choice
from recsmith.contracts.errors import DataError
from recsmith.study.study import run_study
from recsmith.updates.judgement import Bench
from recsmith.updates.prequential import prequential
from recsmith.updates.settings import UpdateSettings
from recsmith.updates.streaming import stream_study
from recsmith.wiring.documents import Document
from recsmith.wiring.plan import check_plan


@pytest.fixture(scope="module")
def bench(registry):
    return Bench("ndcg@10", (), "next_item", mask_seen=False, registry=registry, seed=1)


def by_place(dataset, choice, bench, **settings):
    found = prequential(dataset, choice, bench, UpdateSettings(**settings), blocks=4)
    return {(each.block, each.policy): each for each in found}


def test_a_closed_form_that_is_updated_is_the_one_that_is_learnt_anew(frame, read, bench):
    found = by_place(read(frame)[0], Choice(name="ease"), bench)
    assert sorted({block for block, _ in found}) == [1, 2, 3]
    for block in (1, 2, 3):
        rows = [found[block, policy].evaluation.per_request["ndcg@10"] for policy in ("never", "update", "retrain")]
        assert np.array_equal(rows[1], rows[2])
        assert (block == 1) == np.array_equal(rows[0], rows[1])
    assert [found[block, "update"].forgetting is None for block in (1, 2, 3)] == [True, False, False]
    assert found[3, "never"].forgetting is None


def test_every_user_of_a_block_is_asked_for_their_last_interaction_in_it(frame, read, bench):
    """Oracle: the log itself, by pandas."""
    dataset, _ = read(frame)
    found = by_place(dataset, Choice(name="popularity"), bench)
    size = len(frame) // 4
    for block in (1, 2, 3):
        within = frame[block * size : (block + 1) * size]
        before = frame[: (block + 1) * size].groupby("customer").size()
        asked = [user for user in within["customer"].unique() if before[user] > 1]
        assert len(found[block, "never"].evaluation.user_num) == len(asked)


def test_a_gradient_model_goes_on(frame, read, bench):
    """On the walk items 28 and 29 come like all others: a model that knows next items stays good over time."""
    choice = Choice(
        name="sasrec",
        params={"head_dim": 16, "heads": 1, "blocks": 1, "max_length": 20, "training": {"epochs": 40}},
    )
    found = by_place(read(frame)[0], choice, bench, epochs=10, replay=1.0, rate=1.0)
    assert found[3, "update"].figure.value > 0.8
    assert found[3, "update"].forgetting.requests > 20


def test_a_log_without_moments_or_with_too_few_blocks_is_refused(frame, read, bench):
    bare, _ = read(frame[["customer", "thing"]], columns={"user": "customer", "item": "thing"})
    for dataset, blocks in ((bare, 4), (read(frame)[0], 2)):
        with pytest.raises(DataError, match="blocks over time need timestamps, and 3 blocks at least"):
            next(prequential(dataset, Choice(name="ease"), bench, UpdateSettings(), blocks=blocks))


def test_a_study_is_streamed_with_what_it_found_best(frame, tmp_path):
    """Each policy on each block, as the command prints them."""
    frame.to_csv(tmp_path / "walk.csv", index=False)
    named = {"user": "customer", "item": "thing", "timestamp": "when"}
    data = {"source": str(tmp_path / "walk.csv"), "columns": named}
    space = {"model": "item_knn"}
    plan = check_plan(Document("plan", {"data": data, "space": space, "budget": {"trials": 1}, "engine": "inline"}))
    run_study(plan, tmp_path / "study")
    found = CliRunner().invoke(app, ["study", "stream", str(tmp_path / "study"), "--blocks", "4", "--json"])
    printed = json.loads(found.stdout)
    assert printed["model"] == "item_knn"
    assert [(row["block"], row["policy"]) for row in printed["blocks"]] == [
        (block, policy) for block in (1, 2, 3) for policy in ("never", "update", "retrain")
    ]
    seconds = {(row["block"], row["policy"]): row["seconds"] for row in printed["blocks"]}
    learnt = {place for place, taken in seconds.items() if taken is not None}
    assert learnt == {(1, "never"), (2, "update"), (2, "retrain"), (3, "update"), (3, "retrain")}
    assert printed["update_against"]["retrain"]["gain"] == 0.0


def test_the_scenario_streaming_judges_blocks_that_the_study_never_saw(frame, tmp_path):
    """Oracle: the users of each block by pandas, of which the first is the half that the study learns from."""
    frame.to_csv(tmp_path / "walk.csv", index=False)
    named = {"user": "customer", "item": "thing", "timestamp": "when"}
    plan = {
        "data": {"source": str(tmp_path / "walk.csv"), "columns": named},
        "scenario": "streaming",
        "space": {"model": "item_knn"},
        "budget": {"trials": 1},
        "engine": "inline",
    }
    run_study(check_plan(Document("plan", plan)), tmp_path / "study")
    found = stream_study(tmp_path / "study", UpdateSettings(), blocks=4)
    ordered = frame.sort_values("when", kind="stable")
    half = len(frame) - int((ordered["when"] >= ordered["when"].iloc[int(len(frame) * 0.5)]).sum())
    edges = [half + (len(frame) - half) * part // 3 for part in range(4)]
    for block in (1, 2, 3):
        before = ordered[: edges[block]].groupby("customer").size()
        within = ordered[edges[block - 1] : edges[block]]["customer"].unique()
        (never,) = (each for each in found.blocks if (each.block, each.policy) == (block, "never"))
        assert len(never.evaluation.user_num) == sum(before[user] > 1 for user in within)
