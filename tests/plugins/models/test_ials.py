"""iALS against implicit and against the normal equations."""

import numpy as np
import pytest
from implicit.cpu.als import AlternatingLeastSquares
from scipy import sparse
from threadpoolctl import threadpool_limits

from recsmith.contracts.data import ABSENT, Histories, Interactions, Requests
from recsmith_plugins.models.ials import IALS, IALSConfig

USERS, ITEMS = 50, 30


@pytest.fixture
def interactions():
    rng = np.random.default_rng(5)
    indptr = np.arange(0, USERS * 8 + 1, 8)
    return Interactions(
        Histories(indptr, rng.integers(0, ITEMS, USERS * 8).astype(np.int32)), USERS, ITEMS, ordered=True
    )


@pytest.fixture
def model(interactions):
    model = IALS(IALSConfig(factors=8, regularization=0.5, alpha=3.0, iterations=10), seed=4)
    model.fit(interactions)
    return model


def test_item_factors_are_those_of_implicit(model, interactions):
    confidence = sparse.csr_matrix(interactions.histories.matrix(ITEMS) * np.float32(4.0))  # 1 + alpha
    with threadpool_limits(1, "blas"):
        oracle = AlternatingLeastSquares(factors=8, regularization=0.5, iterations=10, random_state=4)
        oracle.fit(confidence, show_progress=False)
    np.testing.assert_allclose(model.items, oracle.item_factors, rtol=1e-4, atol=1e-5)


def test_stored_users_and_folded_in_users_with_the_same_history_score_alike(model, interactions):
    known = Requests(np.arange(USERS, dtype=np.int32), interactions.histories, histories_are_training=True)
    new = Requests(np.full(USERS, ABSENT, np.int32), interactions.histories)
    np.testing.assert_allclose(model.scores(new), model.scores(known), atol=1e-4)


def test_fold_in_solves_the_normal_equations(model):
    taken = np.array([2, 9, 11])
    items = model.items.astype(np.float64)
    confidence = np.ones(ITEMS)
    confidence[taken] = 4.0
    preference = (confidence > 1).astype(np.float64)
    system = items.T @ np.diag(confidence) @ items + 0.5 * np.eye(8)
    expected = items @ np.linalg.solve(system, items.T @ (confidence * preference))
    asked = Requests(np.array([ABSENT], np.int32), Histories(np.array([0, 3]), taken.astype(np.int32)))
    np.testing.assert_allclose(model.scores(asked)[0], expected, atol=1e-5)


def test_a_user_without_history_scores_zero(model):
    asked = Requests(np.array([ABSENT], np.int32), Histories(np.array([0, 0]), np.zeros(0, np.int32)))
    assert not model.scores(asked).any()
