"""Accuracy of ranked lists: known answers, and agreement with trec_eval and implicit to 1e-9."""

import ir_measures
import numpy as np
import pytest
from hypothesis import given, settings
from implicit.evaluation import ranking_metrics_at_k
from scipy import sparse

from recsmith.contracts.data import ABSENT, CatalogueFacts, RankedLists

NAMES = ("ndcg", "recall", "precision", "hit_rate", "mrr", "map")
FACTS = CatalogueFacts(10, 10, np.ones(10, np.int64))


def by_trec_eval(lists, targets, name):
    """Values by trec_eval (pytrec_eval); ranks are given as distinct scores, since it breaks ties its own way."""
    K = lists.items.shape[1]
    judged = [ir_measures.Qrel(str(user), str(item), 1) for user, wanted in enumerate(targets) for item in wanted]
    shown = [
        ir_measures.ScoredDoc(str(user), str(item), float(K - rank))
        for user, ranked in enumerate(lists.items)
        for rank, item in enumerate(ranked)
        if item != ABSENT
    ]
    measure = {
        "ndcg": ir_measures.nDCG @ K,
        "recall": ir_measures.R @ K,
        "precision": ir_measures.P @ K,
        "hit_rate": ir_measures.Success @ K,
        "mrr": ir_measures.RR,
        "map": ir_measures.AP @ K,
    }[name]
    values = np.zeros(len(targets))
    for found in ir_measures.iter_calc([measure], judged, shown):
        values[int(found.query_id)] = found.value
    if name == "map":  # trec_eval divides by all targets, we by what K places can hold
        values *= lists.relevant / np.minimum(lists.relevant, K)
    return values


@pytest.mark.parametrize("name", NAMES)
def test_values_agree_with_trec_eval(name, metric, cases):
    @settings(max_examples=60, deadline=None)
    @given(case=cases)
    def agree(case):
        lists, targets = case
        np.testing.assert_allclose(metric(name)(lists), by_trec_eval(lists, targets, name), rtol=0, atol=1e-9)

    agree()


class Written:
    """Gives implicit lists that are already there; it asks a model for nothing else."""

    def __init__(self, items):
        self.items = items

    def recommend(self, userid, _history, N):
        return self.items[userid, :N], None


def test_map_and_ndcg_agree_with_implicit_where_its_catalogue_holds_all_targets(metric):
    rng = np.random.default_rng(5)
    K, users, catalogue = 10, 40, 30
    targets = sparse.csr_matrix(rng.random((users, catalogue)) < 0.3, dtype=np.float32)
    items = np.stack([rng.permutation(catalogue)[:K] for _ in range(users)]).astype(np.int32)
    hits = np.take_along_axis(targets.toarray() > 0, items, 1)
    lists = RankedLists(items, hits, np.diff(targets.indptr).astype(np.int64), FACTS)
    oracle = ranking_metrics_at_k(Written(items), sparse.csr_matrix(targets.shape), targets, K=K, show_progress=False)
    assert oracle["map"] == pytest.approx(metric("map")(lists).mean(), abs=1e-9)
    assert oracle["ndcg"] == pytest.approx(metric("ndcg")(lists).mean(), abs=1e-9)


def test_known_answers_of_a_list_with_hits_at_ranks_two_and_four_of_three_targets(metric):
    lists = RankedLists(
        np.array([[7, 3, 9, 1]], np.int32), np.array([[False, True, False, True]]), np.array([3]), FACTS
    )
    ideal = 1 + 1 / np.log2(3) + 1 / np.log2(4)
    expected = {
        "ndcg": (1 / np.log2(3) + 1 / np.log2(5)) / ideal,
        "recall": 2 / 3,
        "precision": 2 / 4,
        "hit_rate": 1.0,
        "mrr": 1 / 2,
        "map": (1 / 2 + 2 / 4) / 3,
    }
    assert expected == pytest.approx({name: metric(name)(lists)[0] for name in NAMES}, abs=1e-12)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("relevant", [0, 1])
def test_a_list_without_hits_is_worth_nothing(name, relevant, metric):
    nothing = RankedLists(
        np.full((1, 5), ABSENT, np.int32), np.zeros((1, 5), np.bool_), np.array([relevant], np.int64), FACTS
    )
    assert metric(name)(nothing).tolist() == [0.0]
