"""iALS with content against implicit, scikit-learn's ridge and the normal equations."""

import numpy as np
import pytest
from implicit.cpu.als import AlternatingLeastSquares
from scipy import sparse
from sklearn.linear_model import Ridge
from sklearn.preprocessing import normalize
from threadpoolctl import threadpool_limits

from recsmith.contracts.data import ABSENT, Histories, Interactions, Requests
from recsmith_plugins.models.ials_content import IALSContent, IALSContentConfig

USERS, ITEMS, KNOWN, DIM = 40, 30, 27, 8
RNG = np.random.default_rng(6)
FEATURES = RNG.random((ITEMS, 9)).astype(np.float32)
ROWS = RNG.integers(0, KNOWN, USERS * 6)
LOG = Interactions(Histories(np.arange(0, USERS * 6 + 1, 6), ROWS.astype(np.int32)), USERS, ITEMS, ordered=True)
SETTINGS = {"factors": DIM, "regularization": 0.5, "alpha": 3.0, "iterations": 10, "smoothing": 0.2}


def fitted(features, **more):
    model = IALSContent(IALSContentConfig(**SETTINGS, **more), features, seed=4)
    model.fit(LOG)
    return model


@pytest.fixture(scope="module")
def own_factors():
    confidence = sparse.csr_matrix(LOG.histories.matrix(ITEMS) * np.float32(4.0))  # 1 + alpha
    with threadpool_limits(1, "blas"):
        oracle = AlternatingLeastSquares(factors=DIM, regularization=0.5, iterations=10, random_state=4)
        oracle.fit(confidence, show_progress=False)
    return oracle.item_factors


@pytest.mark.parametrize("power", [0.0, 1.0])
@pytest.mark.parametrize("kind_of_matrix", [np.asarray, sparse.csr_array])
def test_factors_are_blends_of_their_own_and_of_the_regression(own_factors, power, kind_of_matrix):
    counts = LOG.counts
    taken = counts > 0
    weights = counts[taken] ** power
    oracle = Ridge(alpha=0.2, fit_intercept=False, solver="cholesky")
    unit = normalize(FEATURES).astype(np.float64)
    oracle.fit(unit[taken], own_factors[taken], sample_weight=weights / weights.mean())
    share = (counts / (counts + 2.0))[:, None]
    expected = share * own_factors + (1 - share) * oracle.predict(unit)
    model = fitted(kind_of_matrix(FEATURES), prior=2.0, count_power=power)
    assert not taken[KNOWN:].any()
    np.testing.assert_allclose(model.items, expected, atol=1e-3)


def test_fold_in_solves_the_normal_equations_over_the_known_items():
    model = fitted(FEATURES)
    history = np.array([2, 9, ITEMS - 1])  # one that nobody took
    items = model.items.astype(np.float64)
    known = items[LOG.counts > 0]
    system = known.T @ known + 3.0 * items[history].T @ items[history] + 0.5 * np.eye(DIM)
    expected = items @ np.linalg.solve(system, 4.0 * items[history].sum(axis=0))
    asked = Requests(np.array([ABSENT], np.int32), Histories(np.array([0, 3]), history.astype(np.int32)))
    np.testing.assert_allclose(model.scores(asked)[0], expected, atol=1e-4)


def test_without_any_feature_a_new_item_scores_zero():
    model = fitted(None)
    assert not model.items[KNOWN:].any()
    assert model.items[:KNOWN].any()
