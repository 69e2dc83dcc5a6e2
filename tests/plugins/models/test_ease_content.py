"""EASE with content against the formula of its paper, written densely, and scikit-learn's kernel ridge."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.kernel_ridge import KernelRidge
from sklearn.preprocessing import normalize

from recsmith.contracts.data import ABSENT, Histories, Interactions, Requests
from recsmith.contracts.plugins import Sizes
from recsmith_plugins.models.ease_content import EASEContent, EASEContentConfig, memory

ITEMS, KNOWN = 20, 17  # nobody took the last three
RNG = np.random.default_rng(2)
FEATURES = RNG.random((ITEMS, 5)).astype(np.float32)
LOG = Interactions(
    Histories(np.arange(0, 301, 6), np.concatenate([np.arange(KNOWN), RNG.integers(0, KNOWN, 283)]).astype(np.int32)),
    50,
    ITEMS,
    ordered=True,
)


def fitted(features, **settings):
    model = EASEContent(EASEContentConfig(l2=7.0, **settings), features)
    model.fit(LOG)
    return model


def closed_form(side):
    taken = LOG.histories.matrix(ITEMS).toarray().astype(np.float64)[:, :KNOWN]
    unit = normalize(FEATURES).astype(np.float64)[:KNOWN]
    inverse = np.linalg.inv(taken.T @ taken + side * unit @ unit.T + 7.0 * np.eye(KNOWN))
    weights = inverse / -np.diag(inverse)[None, :]
    np.fill_diagonal(weights, 0.0)
    return weights


@pytest.mark.parametrize("features", [FEATURES, sparse.csr_array(FEATURES)])
def test_among_known_items_weights_are_the_closed_form(features):
    model = fitted(features, side=30.0)
    np.testing.assert_allclose(model.weights[:KNOWN, :KNOWN], closed_form(30.0), atol=1e-5)


def test_columns_of_new_items_are_regressed_on_features():
    model = fitted(FEATURES, side=30.0, smoothing=0.4, own=0.5)
    unit = normalize(FEATURES).astype(np.float64)
    oracle = KernelRidge(alpha=0.4, kernel="linear")
    oracle.fit(unit[:KNOWN], (closed_form(30.0) + 0.5 * np.eye(KNOWN)).T)
    np.testing.assert_allclose(model.weights[:KNOWN, KNOWN:], oracle.predict(unit[KNOWN:]).T, atol=1e-5)


def test_a_new_item_that_looks_like_a_known_one_stands_for_it_in_a_history():
    """With one-hot features and hardly any smoothing the mixture of item 3 and its twin is item 3 alone."""
    one_hot = np.eye(ITEMS, dtype=np.float32)
    one_hot[ITEMS - 1] = one_hot[3]
    model = fitted(one_hot, smoothing=1e-6, own=0.5)
    expected = model.weights[3, :KNOWN].copy()
    expected[3] = 0.5
    np.testing.assert_allclose(model.weights[ITEMS - 1, :KNOWN], expected, atol=1e-4)


def test_without_any_feature_it_is_ease_and_new_items_score_zero():
    model = fitted(None, side=30.0)
    np.testing.assert_allclose(model.weights[:KNOWN, :KNOWN], closed_form(0.0), atol=1e-5)
    assert not model.weights[:, KNOWN:].any()


def test_scores_are_the_history_times_the_weights():
    """Recent interactions weigh more for known items, and all weigh alike for new ones."""
    model = fitted(FEATURES, history_half_life=1.0)
    asked = Requests(np.array([ABSENT], np.int32), Histories(np.array([0, 2]), np.array([3, 5], np.int32)))
    expected = 0.5 * model.weights[3] + model.weights[5]
    expected[KNOWN:] = (model.weights[3] + model.weights[5])[KNOWN:]
    np.testing.assert_allclose(model.scores(asked)[0], expected, atol=1e-6)


def test_it_states_that_the_catalogue_is_squared():
    few, many = (memory(EASEContentConfig(), Sizes(1_000, items, 50_000, 100)) for items in (20_000, 100_000))
    assert 24 * 20_000**2 < few < 10.5e9
    assert 24 * 100_000**2 < many < 241e9
