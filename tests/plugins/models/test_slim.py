"""SLIM against scikit-learn's elastic net on the log itself, and against scipy's non-negative least squares."""

import numpy as np
import pytest
from scipy.optimize import nnls
from sklearn.linear_model import ElasticNet

from recsmith.contracts.data import ABSENT, Histories, Interactions, Requests
from recsmith.contracts.plugins import Sizes
from recsmith_plugins.models import slim
from recsmith_plugins.models.slim import SLIMConfig, build

USERS, ITEMS = 60, 20
RNG = np.random.default_rng(7)
INDPTR = np.concatenate([[0], np.cumsum(RNG.integers(2, 12, USERS))])
LOG = Interactions(
    Histories(
        INDPTR,
        ((ITEMS - 1) * RNG.random(INDPTR[-1]) ** 1.5).astype(np.int32),  # nobody took the last
        weight=RNG.integers(1, 4, INDPTR[-1]).astype(np.float32),
    ),
    USERS,
    ITEMS,
    ordered=True,
)


@pytest.fixture(autouse=True)
def _to_the_end(monkeypatch):
    monkeypatch.setattr(slim, "SWEEPS", 10_000)
    monkeypatch.setattr(slim, "TOLERANCE", 1e-10)


def weights(log=LOG, **settings):
    model = build(SLIMConfig(**settings), None)
    model.fit(log)
    return model.weights.toarray()


def taken(*, weighted=False):
    return LOG.histories.matrix(ITEMS, weighted=weighted).toarray().astype(np.float64)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("l1", "l2"), [(0.5, 3.0), (4.0, 0.1), (0.01, 20.0)])
def test_columns_are_those_of_an_elastic_net_on_the_log(l1, l2, weighted):
    rows = taken(weighted=weighted)
    net = ElasticNet(
        alpha=(l1 + l2) / USERS, l1_ratio=l1 / (l1 + l2), positive=True, fit_intercept=False, tol=1e-10, max_iter=10_000
    )
    expected = np.zeros((ITEMS, ITEMS))
    for item in range(ITEMS - 1):
        others = rows.copy()
        others[:, item] = 0.0
        expected[:, item] = net.fit(others, rows[:, item]).coef_
    assert (expected > 0).sum() > ITEMS
    np.testing.assert_allclose(weights(l1=l1, l2=l2, weighted=weighted), expected, atol=1e-5)


def test_columns_solve_the_non_negative_least_squares_that_they_stand_for():
    """For w >= 0 the penalties of w are linear and quadratic: |Lw - L^-1 (g - l1)|^2 with LL' = G + l2, L upper."""
    l1, l2 = 1.5, 2.0
    rows, found = taken(), weights(l1=l1, l2=l2)
    for item in range(ITEMS - 1):
        others = np.delete(np.arange(ITEMS), item)
        left = np.linalg.cholesky(rows[:, others].T @ rows[:, others] + l2 * np.eye(ITEMS - 1))
        expected, _ = nnls(left.T, np.linalg.solve(left, rows[:, others].T @ rows[:, item] - l1))
        np.testing.assert_allclose(found[others, item], expected, atol=1e-5)


def test_the_weight_of_a_pair_is_the_soft_threshold_of_what_it_shares():
    """Items 0 and 1 are taken together by 3 users, 1 by 2 more: (3 - l1) / (5 + l2) from 1 to 0, and 3 + l2 back."""
    pair = Histories(np.array([0, 2, 4, 6, 7, 8]), np.array([0, 1, 0, 1, 0, 1, 1, 1], np.int32))
    found = weights(Interactions(pair, 5, 2, ordered=True), l1=0.5, l2=2.0)
    np.testing.assert_allclose(found, [[0.0, 2.5 / 5.0], [2.5 / 7.0, 0.0]], rtol=1e-5)


def test_only_the_items_of_the_highest_cosine_have_a_weight():
    rows = taken()[:, : ITEMS - 1]
    cosine = rows.T @ rows / np.sqrt(np.outer(rows.sum(0), rows.sum(0)))
    np.fill_diagonal(cosine, 0.0)
    few = weights(l1=0.01, l2=0.1, candidates=4)
    least = np.sort(cosine, axis=0)[-4]
    assert (cosine[few[: ITEMS - 1, : ITEMS - 1] > 0] >= np.broadcast_to(least, cosine.shape)[few[:-1, :-1] > 0]).all()
    assert ((few > 0).sum(axis=0) <= 4).all()
    assert (few > 0).any()


def test_counting_anew_gives_what_holding_all_pairs_gives(monkeypatch):
    held = weights(candidates=6)
    monkeypatch.setattr(slim, "PAIRS", 0)
    assert np.array_equal(weights(candidates=6), held)


def test_scores_are_the_history_times_the_weights():
    model = build(SLIMConfig(l1=0.1, l2=1.0, history_half_life=1.0), None)
    model.fit(LOG)
    asked = Requests(np.array([ABSENT], np.int32), Histories(np.array([0, 2]), np.array([3, 5], np.int32)))
    rows = model.weights.toarray()
    np.testing.assert_allclose(model.scores(asked)[0], 0.5 * rows[3] + rows[5], rtol=1e-5)


def test_a_large_catalogue_is_not_held_as_pairs():
    """A million items, 20 million interactions: 0.7 GB of pairs, 1.3 of rows, 3.2 of weights, and the rest."""
    assert slim.memory(SLIMConfig(), Sizes(10**6, 10**6, 20 * 10**6, 5_000)) < 6e9
