"""EDLAE against its closed form, against EASE, and against the average over every way to drop interactions."""

from itertools import product

import numpy as np
import pytest

from recsmith.contracts.data import ABSENT, Histories, Interactions, Requests
from recsmith_plugins.models.ease import EASE, EASEConfig
from recsmith_plugins.models.edlae import EDLAEConfig, build

ITEMS = 20
RNG = np.random.default_rng(9)
LOG = Interactions(
    Histories(
        np.arange(0, 301, 6),
        RNG.integers(0, ITEMS, 300).astype(np.int32),
        weight=RNG.integers(1, 4, 300).astype(np.float32),
    ),
    50,
    ITEMS,
    ordered=True,
)


def weights(log=LOG, **settings):
    model = build(EDLAEConfig(**settings), None)
    model.fit(log)
    return model.weights


@pytest.mark.parametrize("weighted", [False, True])
def test_weights_are_the_closed_form(weighted):
    taken = LOG.histories.matrix(ITEMS, weighted=weighted).toarray().astype(np.float64)
    gram = taken.T @ taken
    penalty = 7.0 + 0.4 / 0.6 * np.diag(gram)
    inverse = np.linalg.inv(gram + np.diag(penalty))
    expected = np.eye(ITEMS) - inverse / np.diag(inverse)
    found = weights(dropout=0.4, l2=7.0, weighted=weighted)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    plain = weights(dropout=0.4, l2=7.0, weighted=weighted, emphasis=False)
    np.testing.assert_allclose(plain, inverse @ gram, atol=1e-6)


def test_without_dropout_it_is_ease_or_ridge_regression():
    ease = EASE(EASEConfig(l2=7.0))
    ease.fit(LOG)
    np.testing.assert_allclose(weights(dropout=0.0, l2=7.0), ease.weights, atol=1e-6)
    taken = LOG.histories.matrix(ITEMS).toarray().astype(np.float64)
    ridge = np.linalg.solve(taken.T @ taken + 7.0 * np.eye(ITEMS), taken.T @ taken)
    np.testing.assert_allclose(weights(dropout=0.0, l2=7.0, emphasis=False), ridge, atol=1e-6)


@pytest.mark.parametrize("emphasis", [True, False])
def test_it_rebuilds_what_was_dropped_best_on_the_average(emphasis):
    """Every way to drop from 4 items, by its probability: ridge regression of each item on what is left.

    With emphasis the ways count in which the item itself is dropped. The closed form is (1 - p) times those weights.
    """
    items, dropout, l2 = 4, 0.3, 1.5
    rows = (np.random.default_rng(3).random((9, items)) < 0.6).astype(np.float64)
    histories = Histories(
        np.concatenate([[0], np.cumsum(rows.sum(1))]).astype(np.int64), rows.nonzero()[1].astype("i4")
    )
    expected = np.zeros((items, items))
    for item in range(items):
        left, right = l2 * (1 - dropout) ** 2 * np.eye(items), np.zeros(items)
        ways = [kept for kept in product((0.0, 1.0), repeat=items) if not (emphasis and kept[item])]
        for kept in ways:
            others = np.delete(kept, item) if emphasis else np.array(kept)
            chance = np.prod(np.where(others == 1.0, 1 - dropout, dropout))
            left += chance * (rows * kept).T @ (rows * kept)
            right += chance * (rows * kept).T @ rows[:, item]
        expected[:, item] = (1 - dropout) * np.linalg.solve(left, right)
    found = weights(Interactions(histories, 9, items, ordered=True), dropout=dropout, l2=l2, emphasis=emphasis)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_scores_are_the_history_times_the_weights():
    model = build(EDLAEConfig(l2=7.0, history_half_life=1.0), None)
    model.fit(LOG)
    asked = Requests(np.array([ABSENT], np.int32), Histories(np.array([0, 2]), np.array([3, 5], np.int32)))
    np.testing.assert_allclose(model.scores(asked)[0], 0.5 * model.weights[3] + model.weights[5], atol=1e-6)
