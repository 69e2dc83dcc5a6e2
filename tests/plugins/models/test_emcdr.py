"""EMCDR against implicit and scikit-learn, and on users who are new to the target domain."""

import numpy as np
import pytest
from implicit.cpu.als import AlternatingLeastSquares
from scipy import sparse
from sklearn.linear_model import Ridge
from threadpoolctl import threadpool_limits

from recsmith.contracts.config import Choice
from recsmith.contracts.data import ABSENT, Histories, Requests
from recsmith.evaluation.judge import judge
from recsmith.study.prepare import learn, prepare
from recsmith.testing.logs import domains_fold
from recsmith.wiring.plugins import load_plugins
from recsmith_plugins.models.emcdr import EMCDR, EMCDRConfig

FOLD = domains_fold()
ITEMS, DIM = 40, 6
NEW = np.arange(160) % 8 >= 4  # to the target domain


@pytest.fixture(scope="module")
def model():
    config = EMCDRConfig(factors=DIM, regularization=0.5, alpha=2.0, iterations=8, bridge_l2=0.3, prior=2.0)
    model = EMCDR(config, FOLD.candidates, seed=3)
    model.fit(FOLD.train)
    return model


@pytest.fixture(scope="module")
def oracle():
    """Factors of each half by implicit, of those whom the bridge joins by the normal equations, and the bridge."""
    taken = sparse.csr_matrix(FOLD.train.histories.matrix(ITEMS))
    halves = []
    for columns in (slice(0, 20), slice(20, 40)):
        als = AlternatingLeastSquares(factors=DIM, regularization=0.5, iterations=8, random_state=3)
        with threadpool_limits(1, "blas"):
            als.fit(taken[:, columns] * np.float32(3.0), show_progress=False)
        items = als.item_factors.astype(np.float64)
        users = np.stack([folded(items, row.indices) for row in taken[:, columns]])
        halves.append((items, users))
    both = ~NEW
    weights = np.diff(taken[:, 20:].indptr)[both]
    features = np.hstack([halves[0][1], np.ones((160, 1))])
    bridge = Ridge(alpha=0.3, fit_intercept=False, solver="cholesky")
    bridge.fit(features[both], halves[1][1][both], sample_weight=weights)
    return halves, bridge.predict(features), np.diff(taken[:, 20:].indptr)


def folded(items, taken):
    chosen = items[taken]
    left = items.T @ items + 2.0 * chosen.T @ chosen + 0.5 * np.eye(DIM)
    return np.linalg.solve(left, 3.0 * chosen.sum(axis=0))


def test_scores_are_those_of_the_blended_factors(model, oracle):
    halves, carried, there = oracle
    weight = (there / (there + 2.0))[:, None]
    target = (weight * halves[1][1] + (1 - weight) * carried) @ halves[1][0].T
    expected = np.hstack([halves[0][1] @ halves[0][0].T, target])
    np.testing.assert_allclose(model.scores(FOLD.holdout.requests), expected, atol=2e-3)


def test_somebody_without_any_history_is_served_from_the_intercept(model):
    nobody = Requests(np.array([ABSENT], np.int32), Histories(np.array([0, 0]), np.zeros(0, np.int32)))
    np.testing.assert_allclose(model.scores(nobody)[0, 20:], model.target.items[20:] @ model.bridge[-1], atol=1e-5)


def test_what_is_liked_elsewhere_is_carried_over():
    registry = load_plugins().registry
    found = {}
    for name in ("emcdr", "popularity"):
        prepared = prepare(Choice(name=name), FOLD, registry, seed=1)
        assert len(list(learn(prepared, FOLD.train))) == 1
        judged = judge(prepared.serving, FOLD, ["ndcg@5"], registry, scenario="cross_domain")
        found[name] = judged.per_request["ndcg@5"][NEW].mean()
    assert found["emcdr"] > 0.7
    assert found["popularity"] < 0.25
