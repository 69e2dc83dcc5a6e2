"""P3alpha against the products of its transition matrices, written densely."""

import numpy as np
import pytest

from recsmith.contracts.data import ABSENT, Histories, Interactions, Requests
from recsmith_plugins.blocks.recency import NO_DECAY
from recsmith_plugins.models.p3alpha import P3AlphaConfig, build

USERS, ITEMS = 40, 15
RNG = np.random.default_rng(5)
INDPTR = np.concatenate([[0], np.cumsum(RNG.integers(1, 12, USERS))])
WEIGHT = (0.5 + RNG.random(INDPTR[-1])).astype(np.float32)  # no two walks weigh the same
LOG = Interactions(
    Histories(INDPTR, RNG.integers(0, ITEMS - 1, INDPTR[-1]).astype(np.int32), weight=WEIGHT),  # nobody took the last
    USERS,
    ITEMS,
    ordered=True,
)


def weights(log, **settings):
    model = build(P3AlphaConfig(**settings), None)
    model.fit(log)
    return model.weights.toarray()


def walks(alpha, *, weighted):
    taken = LOG.histories.matrix(ITEMS, weighted=weighted).toarray().astype(np.float64)
    to_users = taken.T / np.maximum(taken.T.sum(axis=1, keepdims=True), 1e-12)
    to_items = taken / taken.sum(axis=1, keepdims=True)
    return to_users**alpha @ to_items**alpha


def test_steps_are_those_of_chance_on_a_graph_that_fits_a_hand():
    """Users {0, 1} and {0, 2}: from 0 to either user with 1/2, on to each of the two items with 1/2."""
    pair = Interactions(Histories(np.array([0, 2, 4]), np.array([0, 1, 0, 2], np.int32)), 2, 3, ordered=True)
    expected = [[0.5, 0.25, 0.25], [0.5, 0.5, 0.0], [0.5, 0.0, 0.5]]
    np.testing.assert_allclose(weights(pair, alpha=1.0), expected, rtol=1e-6)


@pytest.mark.parametrize("alpha", [0.0, 0.4, 1.0, 1.9])
@pytest.mark.parametrize("weighted", [False, True])
def test_weights_are_the_product_of_both_steps(alpha, weighted):
    found = weights(LOG, alpha=alpha, weighted=weighted)
    reachable = walks(1.0, weighted=weighted) > 0  # at 0 the dense form goes everywhere
    expected = (LOG.histories.matrix(ITEMS).T @ LOG.histories.matrix(ITEMS)).toarray()
    expected = expected if alpha == 0.0 else walks(alpha, weighted=weighted)
    np.testing.assert_allclose(found, np.where(reachable, expected, 0.0), rtol=1e-5, atol=1e-9)


def test_only_the_likeliest_ends_of_an_item_are_kept():
    whole = walks(1.2, weighted=True)
    expected = np.where(whole >= np.sort(whole, axis=1)[:, [-4]], whole, 0.0)
    np.testing.assert_allclose(weights(LOG, alpha=1.2, weighted=True, neighbours=4), expected, rtol=1e-5, atol=1e-9)


def test_the_weights_of_an_item_sum_to_one_where_asked_for():
    sums = weights(LOG, alpha=0.5, neighbours=5, normalise=True).sum(axis=1)
    np.testing.assert_allclose(sums, [1.0] * (ITEMS - 1) + [0.0], rtol=1e-5)


def test_a_new_user_is_scored_by_the_items_of_the_history():
    model = build(P3AlphaConfig(history_half_life=1.0), None)
    model.fit(LOG)
    asked = Requests(np.array([ABSENT], np.int32), Histories(np.array([0, 2]), np.array([3, 5], np.int32)))
    rows = model.weights.toarray()
    np.testing.assert_allclose(model.scores(asked)[0], 0.5 * rows[3] + rows[5], rtol=1e-5)
    unhurried = build(P3AlphaConfig(history_half_life=NO_DECAY), None)
    unhurried.load(model.state())
    np.testing.assert_allclose(unhurried.scores(asked)[0], rows[3] + rows[5], rtol=1e-5)
