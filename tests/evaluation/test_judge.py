"""A model judged on a fold: known answers, rules for odd cases, intervals over users."""

import ir_measures
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recsmith.contracts.data import ABSENT
from recsmith.contracts.errors import NotFiniteError, PlanError
from recsmith.evaluation.judge import judge
from recsmith.evaluation.lists import item_vectors
from recsmith.evaluation.names import direction, usual_metrics

DOWN = [6, 5, 4, 3, 2, 1]  # scores that rank items by their number


def test_one_ranking_serves_all_cut_offs(registry, written, make_fold):
    fold = make_fold([[0], [0]], [[2], [5]])  # seen item 0 is no candidate, so item 2 stands second
    found = judge(written([DOWN, DOWN]), fold, ["mrr@1", "mrr@5", "hit_rate@2", "coverage@5"], registry)
    assert found.figures == pytest.approx(
        {"mrr@1": 0.0, "mrr@5": (1 / 2 + 1 / 5) / 2, "hit_rate@2": 0.5, "coverage@5": 5 / 6}
    )
    assert found.per_request["mrr@5"].tolist() == [1 / 2, 1 / 5]
    assert found.lists.items.tolist() == [[1, 2, 3, 4, 5]] * 2
    assert found.scores.tolist() == [[5, 4, 3, 2, 1]] * 2


def test_seen_items_are_candidates_where_they_are_not_masked(registry, written, make_fold):
    fold = make_fold([[0]], [[0]])
    assert judge(written([DOWN]), fold, ["mrr@3"], registry).figures == {"mrr@3": 0.0}
    assert judge(written([DOWN]), fold, ["mrr@3"], registry, mask_seen=False).figures == {"mrr@3": 1.0}


def test_a_target_outside_the_catalogue_is_a_miss_and_a_target_given_twice_is_one(registry, written, make_fold):
    fold = make_fold([[0], [0]], [[1, ABSENT], [1, 1]])
    found = judge(written([DOWN, DOWN]), fold, ["recall@3"], registry)
    assert found.per_request["recall@3"].tolist() == [0.5, 1.0]


def test_ratings_are_judged_pair_by_pair_and_unknown_items_by_the_mean_prediction(registry, written, make_fold):
    values = np.array([5, 1, 3], np.float32)
    fold = make_fold([[0], [1]], [[1, ABSENT], [2]], values=values)
    model = written([[1, 4, 1, 1, 1, 4], [3, 3, 3, 3, 3, 3]])  # the first user's mean prediction is 2
    found = judge(model, fold, ["mae", "rmse"], registry, scenario="rating")
    assert found.figures == pytest.approx({"mae": (1 + 1 + 0) / 3, "rmse": np.sqrt(2 / 3)})
    assert found.per_request["mae"].tolist() == [1.0, 0.0]
    assert found.weights["mae"].tolist() == [2.0, 1.0]
    assert found.lists is None
    assert set(found.intervals(seed=0, replicates=20)) == {"mae", "rmse"}


def test_ratings_need_the_scenario_and_the_values(registry, written, make_fold):
    fold = make_fold([[0]], [[1]])
    with pytest.raises(PlanError, match="Write scenario: rating"):
        judge(written([DOWN]), fold, ["mae"], registry)
    with pytest.raises(PlanError, match="as `value`"):
        judge(written([DOWN]), fold, ["mae"], registry, scenario="rating")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_predicted_rating_that_is_not_finite_is_refused(bad, registry, written, make_fold):
    fold = make_fold([[0]], [[1]], values=np.ones(1, np.float32))
    with pytest.raises(NotFiniteError):
        judge(written([[0, bad, 0, 0, 0, 0]]), fold, ["rmse"], registry, scenario="rating")


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("ndgc@10", "no metric 'ndgc'. Did you mean 'ndcg'"),
        ("ndcg", "Write for example 'ndcg@10'"),
        ("ndcg@0", "whole number from 1"),
        ("ndcg@ten", "whole number from 1"),
        ("mae@10", "has no cut-off. Write 'mae'"),
    ],
)
def test_a_wrong_name_is_refused_with_what_to_write(name, sentence, registry, written, make_fold):
    with pytest.raises(PlanError, match=sentence):
        judge(written([DOWN]), make_fold([[0]], [[1]]), [name], registry)


def test_direction_belongs_to_the_metric(registry):
    directions = {name: direction(name, registry) for name in ("ndcg@5", "gini@10", "rmse")}
    assert directions == {"ndcg@5": "maximize", "gini@10": "minimize", "rmse": "minimize"}


def test_usual_metrics_are_those_that_are_registered(registry):
    assert usual_metrics("rating", registry) == ("mae", "rmse")
    assert "ndcg@10" in usual_metrics("next_item", registry)
    for scenario in ("next_item", "rating", "cold_user", "cold_item"):
        assert usual_metrics(scenario, registry)


def test_diversity_takes_items_for_alike_when_the_same_users_interacted_with_them(registry, written, make_fold):
    fold = make_fold([[0, 1], [0, 1], [2], [3]], [[5]] * 4)
    vectors = item_vectors(fold.train).toarray()
    np.testing.assert_allclose((vectors @ vectors.T)[0, :3], [1, 1, 0], atol=1e-6)
    table = np.zeros((4, 6))
    table[:2, [0, 1]] = table[2:, [0, 2]] = [2, 1]
    found = judge(written(table), fold, ["intra_list_diversity@2"], registry, mask_seen=False)
    np.testing.assert_allclose(found.per_request["intra_list_diversity@2"], [0, 0, 1, 1], atol=1e-6)


def test_every_figure_lies_inside_its_interval_and_the_seed_decides_it(registry, written, make_fold):
    rng = np.random.default_rng(1)
    fold = make_fold([[0]] * 80, [[int(item)] for item in rng.integers(1, 6, 80)])
    asked = [*usual_metrics("next_item", registry), "ndcg@3"]
    asked = [name.replace("@10", "@2") for name in asked]
    found = judge(written(rng.standard_normal((80, 6))), fold, asked, registry)
    intervals = found.intervals(seed=3)
    assert list(intervals) == asked
    for name, figure in intervals.items():
        assert figure.value == found.figures[name]
        assert figure.low <= figure.value <= figure.high
    assert intervals == found.intervals(seed=3)
    assert intervals != found.intervals(seed=4)


def test_a_fold_without_requests_is_worth_nothing_and_breaks_nothing(registry, written, make_fold):
    fold = make_fold([[0]], [], users=[])
    found = judge(written([DOWN]), fold, ["ndcg@3", "coverage@3"], registry)
    assert found.figures == {"ndcg@3": 0.0, "coverage@3": 0.0}
    assert {(figure.low, figure.high) for figure in found.intervals(seed=0).values()} == {(0.0, 0.0)}


def test_no_interval_of_a_share_reaches_beyond_one(registry, written, make_fold):
    """Three users share the catalogue: a resampled set covers less, and its shift must not end beyond the whole."""
    fold = make_fold([[0], [0], [0]], [[1], [1], [1]])
    model = written([[6, 5, 1, 1, 1, 1], [1, 1, 6, 5, 1, 1], [1, 1, 1, 1, 6, 5]])
    found = judge(model, fold, ["coverage@2"], registry, mask_seen=False).intervals(seed=0)["coverage@2"]
    assert (found.value, found.high) == (1.0, 1.0)
    assert found.low < 1.0


def test_several_requests_of_one_user_and_unknown_users_are_judged_one_by_one(registry, written, make_fold):
    fold = make_fold([[0], [1]], [[1], [5], [2]], users=[0, 0, ABSENT])
    found = judge(written([DOWN, DOWN, DOWN[::-1]]), fold, ["mrr@5"], registry)
    assert found.per_request["mrr@5"].tolist() == [1.0, 1 / 5, 1 / 4]
    assert found.intervals(seed=0, replicates=50)["mrr@5"].value == pytest.approx(1.45 / 3)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32 - 1))
def test_a_whole_judging_agrees_with_trec_eval_on_lists_sorted_by_hand(seed, registry, written, make_fold):
    rng = np.random.default_rng(seed)
    users, items = 8, 15
    seen = [rng.integers(0, items, rng.integers(0, 14)).tolist() for _ in range(users)]
    targets = [rng.integers(ABSENT, items, rng.integers(1, 6)).tolist() for _ in range(users)]
    table = rng.integers(0, 4, (users, items)).astype(np.float32)  # many equal scores
    judged, shown = [], []
    for user, (old, wanted) in enumerate(zip(seen, targets, strict=True)):
        names = {str(item) if item != ABSENT else f"outside {at}" for at, item in enumerate(wanted)}
        judged += [ir_measures.Qrel(str(user), name, 1) for name in names]
        best = sorted(set(range(items)) - set(old), key=lambda item: (-table[user, item], item))[:5]
        shown += [ir_measures.ScoredDoc(str(user), str(item), float(9 - rank)) for rank, item in enumerate(best)]
    oracle = ir_measures.calc_aggregate([ir_measures.nDCG @ 5, ir_measures.R @ 5, ir_measures.RR], judged, shown)
    found = judge(written(table), make_fold(seen, targets, items=items), ["ndcg@5", "recall@5", "mrr@5"], registry)
    assert list(found.figures.values()) == pytest.approx(
        [oracle[measure] for measure in (ir_measures.nDCG @ 5, ir_measures.R @ 5, ir_measures.RR)], abs=1e-9
    )


def test_item_cold_lists_hold_new_items_only(registry, written, make_fold):
    """Items 2 to 5 have no training row; without the rule the popular item 1 would stand first."""
    fold = make_fold([[0, 1], [0]], [[3], [2]])
    found = judge(written([[9, 8, 1, 2, 0, 0], [9, 8, 2, 1, 0, 0]]), fold, ["mrr@2"], registry, scenario="cold_item")
    assert found.lists.items.tolist() == [[3, 2], [2, 3]]
    assert found.figures["mrr@2"] == 1.0
