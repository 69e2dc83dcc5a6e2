"""One trial: what it reports, how it goes on after a stop, when it ends by itself."""

from __future__ import annotations

import pytest

from recsmith.contracts.config import Choice
from recsmith.contracts.errors import NotFiniteError
from recsmith.contracts.plan import TrialPlan
from recsmith.records.trial_folder import TrialFolder
from recsmith.study.trial import run_trial
from recsmith.testing.logs import cycle_fold, ratings_fold
from recsmith.wiring.plugins import load_plugins

NETWORK = Choice(
    name="sasrec",
    params={
        "heads": 1,
        "head_dim": 16,
        "blocks": 1,
        "max_length": 12,
        "training": {"epochs": 6, "patience": 6, "batch_size": 16, "learning_rate": 0.01},
    },
)


@pytest.fixture(scope="module")
def registry():
    return load_plugins().registry


@pytest.fixture(scope="module")
def fold():
    return cycle_fold(users=40, items=12, length=10, seed=0)


def planned(folder, configuration=NETWORK, **more):
    facts = {"scenario": "next_item", "objective": "ndcg@10", "metrics": ("ndcg@10",), "seed": 5} | more
    return TrialPlan(number=0, root=0, folder=str(folder), configuration=configuration, **facts)


def always(_report):
    return True


def learnt(result):
    """The epochs without the clock."""
    return [(said.epoch, said.metrics, said.loss, said.factors, said.last) for said in result.history]


def test_a_closed_form_reports_once_and_it_is_the_last(tmp_path, fold, registry):
    heard = []
    result = run_trial(planned(tmp_path, Choice(name="popularity")), fold, registry, lambda r: heard.append(r) or True)
    assert [(said.epoch, said.last) for said in heard] == [(1, True)]
    assert (result.state, result.best_epoch, result.value) == ("complete", 1, heard[0].metrics["ndcg@10"])


def test_a_network_reports_every_epoch_and_keeps_the_best(tmp_path, fold, registry):
    result = run_trial(planned(tmp_path), fold, registry, always)
    values = [said.metrics["ndcg@10"] for said in result.history]
    assert len(values) == 6
    assert result.value == max(values) == values[result.best_epoch - 1]
    lists = TrialFolder(tmp_path).lists()
    assert lists.metrics["ndcg@10"].mean() == pytest.approx(result.value)


@pytest.mark.parametrize("stopped_after", [1, 3, 5])
def test_a_stopped_trial_goes_on_to_the_same_result(tmp_path, fold, registry, stopped_after):
    whole = run_trial(planned(tmp_path / "whole"), fold, registry, always)
    run_trial(planned(tmp_path / "cut"), fold, registry, lambda said: said.epoch < stopped_after)
    heard = []
    resumed = run_trial(planned(tmp_path / "cut"), fold, registry, lambda said: heard.append(said.epoch) or True)
    assert heard == [1, 2, 3, 4, 5, 6]
    assert learnt(resumed) == learnt(whole)


def test_an_epoch_without_its_checkpoint_is_learnt_again_to_the_same_result(tmp_path, fold, registry):
    whole = run_trial(planned(tmp_path / "whole"), fold, registry, always)
    run_trial(planned(tmp_path / "cut"), fold, registry, lambda said: said.epoch < 2)
    TrialFolder(tmp_path / "cut").drop_checkpoint()
    assert learnt(run_trial(planned(tmp_path / "cut"), fold, registry, always)) == learnt(whole)


def test_patience_ends_a_trial_that_gets_no_better(tmp_path, fold, registry):
    training = NETWORK.params["training"] | {"epochs": 60, "patience": 2}
    impatient = Choice(name="sasrec", params=NETWORK.params | {"training": training})
    result = run_trial(planned(tmp_path, impatient), fold, registry, always)
    assert len(result.history) == result.best_epoch + 2 < 60
    assert result.history[-1].last


def test_a_loss_that_is_not_finite_names_the_epoch_and_the_remedy(tmp_path, fold, registry):
    training = NETWORK.params["training"] | {"learning_rate": 1e30, "gradient_clip": 1e30}
    wild = Choice(name="sasrec", params=NETWORK.params | {"training": training})
    with pytest.raises(NotFiniteError, match=r"epoch \d+, step \d+ .*lower learning_rate"):
        run_trial(planned(tmp_path, wild), fold, registry, always)


def test_ratings_are_judged_by_error_and_the_least_is_best(tmp_path, registry):
    plan = planned(tmp_path, Choice(name="bias"), scenario="rating", objective="mae", metrics=("mae", "rmse"))
    fold = ratings_fold(users=60, items=30, seed=0)
    result = run_trial(plan, fold, registry, always)
    assert 0 < result.metrics["mae"] <= result.metrics["rmse"]
