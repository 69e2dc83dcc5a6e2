"""Content profiles against scikit-learn's ridge and logistic regression."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.preprocessing import normalize

from recsmith.contracts.data import ABSENT, Histories, Interactions, Requests
from recsmith_plugins.models.content_profile import ContentProfile, ContentProfileConfig

ITEMS, KNOWN = 30, 26  # nobody took the last four
RNG = np.random.default_rng(4)
FEATURES = RNG.random((ITEMS, 6)).astype(np.float32)
LOG = Interactions(Histories(np.array([0, 13, KNOWN]), np.arange(KNOWN, dtype=np.int32)), 2, ITEMS, ordered=True)
SHORT, LONG = [3, 7], list(range(1, 24, 2))  # fewer and more items than features


def ask(*history):
    histories = Histories(np.array([0, len(history)]), np.array(history, np.int32))
    return Requests(np.array([ABSENT], np.int32), histories)


def scores(features, history, **settings):
    model = ContentProfile(ContentProfileConfig(**settings), features, ITEMS)
    model.fit(LOG)
    return model.scores(ask(*history))[0]


def with_constant(features):
    return np.hstack([normalize(features), np.ones((len(features), 1))]).astype(np.float64)


@pytest.mark.parametrize("history", [SHORT, LONG])
@pytest.mark.parametrize("kind_of_matrix", [np.asarray, sparse.csr_array])
def test_ridge_is_the_weighted_regression_over_all_known_items(history, kind_of_matrix):
    rows = with_constant(FEATURES)
    taken = np.isin(np.arange(KNOWN), history)
    oracle = Ridge(alpha=0.7, fit_intercept=False, solver="cholesky")
    oracle.fit(rows[:KNOWN], taken.astype(float), sample_weight=np.where(taken, 1 + 5.0, 1.0))
    found = scores(kind_of_matrix(FEATURES), history, alpha=5.0, l2=0.7)
    np.testing.assert_allclose(found, rows @ oracle.coef_, atol=1e-5)


def test_an_old_interaction_counts_in_part():
    """Half-life 1: item 3 counts half as taken (weight 6) and half as not taken (weight 1)."""
    rows = with_constant(FEATURES)
    oracle = Ridge(alpha=0.7, fit_intercept=False, solver="cholesky")
    taken = np.zeros(KNOWN)
    taken[[3, 7]] = 1.0
    weights = np.ones(KNOWN)
    weights[3], weights[7] = 0.5 * 6.0, 6.0
    oracle.fit(np.vstack([rows[:KNOWN], rows[3]]), [*taken, 0.0], sample_weight=[*weights, 0.5])
    found = scores(FEATURES, [3, 7], alpha=5.0, l2=0.7, history_half_life=1.0)
    np.testing.assert_allclose(found, rows @ oracle.coef_, atol=1e-5)


def test_logistic_is_the_likelihood_of_the_items_taken_against_all():
    rows = normalize(FEATURES).astype(np.float64)
    every = np.vstack([rows[LONG], rows[:KNOWN]])
    labels = np.array([1] * len(LONG) + [0] * KNOWN)
    oracle = LogisticRegression(C=1 / 0.5, tol=1e-10, max_iter=1000)
    oracle.fit(every, labels, sample_weight=np.where(labels, 3.0, 1.0))
    found = scores(FEATURES, LONG, kind="logistic", alpha=2.0, l2=0.5)
    np.testing.assert_allclose(found, oracle.decision_function(rows), atol=1e-4)


def test_a_reduction_that_loses_nothing_changes_nothing():
    """60 columns of rank 5 reduced to 16: a rotation, which ridge does not see."""
    wide = sparse.csr_array((RNG.random((ITEMS, 5)) @ RNG.random((5, 60))).astype(np.float32))
    reduced, whole = scores(wide, LONG, dim=16), scores(wide, LONG, dim=100)
    np.testing.assert_allclose(reduced, whole, atol=2e-4)


@pytest.mark.parametrize("kind", ["ridge", "logistic"])
def test_without_any_feature_all_items_are_alike(kind):
    assert np.ptp(scores(None, SHORT, kind=kind)) < 1e-6


def test_without_history_nothing_is_said():
    assert not scores(FEATURES, []).any()


def test_what_lies_beyond_the_directions_stays_in_the_profile():
    """One-hot features of 30 items at dim 16: items off the 16 directions still tell themselves apart."""
    one_hot = sparse.csr_array(np.eye(ITEMS, dtype=np.float32))
    one_hot = sparse.csr_array(sparse.vstack([one_hot[:28], one_hot[:2]]))  # the last two are twins of the first two
    for history in ([0], [1]):
        found = scores(one_hot, history, dim=16, l2=2.0)
        assert set(np.argsort(-found)[:2].tolist()) == {history[0], 28 + history[0]}
