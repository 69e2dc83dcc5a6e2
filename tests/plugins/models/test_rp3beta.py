"""RP3beta against its formula, written densely."""

import numpy as np
import pytest

from recsmith.contracts.data import Histories, Interactions
from recsmith_plugins.models import p3alpha, rp3beta
from recsmith_plugins.models.p3alpha import P3AlphaConfig
from recsmith_plugins.models.rp3beta import RP3BetaConfig

USERS, ITEMS = 40, 15
RNG = np.random.default_rng(6)
INDPTR = np.concatenate([[0], np.cumsum(RNG.integers(1, 12, USERS))])
WEIGHT = (0.5 + RNG.random(INDPTR[-1])).astype(np.float32)  # no two walks weigh the same
LOG = Interactions(
    Histories(INDPTR, (ITEMS * RNG.random(INDPTR[-1]) ** 2).astype(np.int32), weight=WEIGHT), USERS, ITEMS, ordered=True
)


def weights(log=LOG, **settings):
    model = rp3beta.build(RP3BetaConfig(**settings), None)
    model.fit(log)
    return model.weights.toarray()


def ends(alpha, beta):
    """Probabilities of walks to the power of alpha, each by the popularity of its end to the power of beta."""
    taken = LOG.histories.matrix(ITEMS, weighted=True).toarray().astype(np.float64)
    popularity = taken.sum(axis=0)
    to_users, to_items = taken.T / popularity[:, None], taken / taken.sum(axis=1, keepdims=True)
    return to_users**alpha @ to_items**alpha / popularity**beta


def test_popularity_takes_down_an_end_on_a_graph_that_fits_a_hand():
    """Users {0, 1}, {0, 2}, {2}: from 0 chance leads to 0 with 1/2, to 1 and to 2 with 1/4; they have 2, 1, 2 users."""
    pair = Interactions(Histories(np.array([0, 2, 4, 5]), np.array([0, 1, 0, 2, 2], np.int32)), 3, 3, ordered=True)
    found = weights(pair, alpha=1.0, beta=1.0)
    np.testing.assert_allclose(found[0], [0.5 / 2, 0.25 / 1, 0.25 / 2], rtol=1e-6)


@pytest.mark.parametrize(("alpha", "beta"), [(1.0, 0.5), (0.4, 1.5), (2.0, 0.1)])
def test_weights_are_the_formula_and_the_best_are_chosen_after_popularity(alpha, beta):
    whole = ends(alpha, beta)
    settings = {"alpha": alpha, "beta": beta, "weighted": True}
    np.testing.assert_allclose(weights(**settings), whole, rtol=1e-5, atol=1e-9)
    best = np.where(whole >= np.sort(whole, axis=1)[:, [-4]], whole, 0.0)
    np.testing.assert_allclose(weights(neighbours=4, **settings), best, rtol=1e-5, atol=1e-9)


def test_without_beta_it_is_p3alpha():
    walk = p3alpha.build(P3AlphaConfig(alpha=0.7, neighbours=5), None)
    walk.fit(LOG)
    assert np.array_equal(weights(alpha=0.7, beta=0.0, neighbours=5), walk.weights.toarray())


def test_the_weights_of_an_item_sum_to_one_where_asked_for():
    np.testing.assert_allclose(weights(neighbours=5, normalise=True).sum(axis=1), 1.0, rtol=1e-5)
