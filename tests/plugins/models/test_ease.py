"""EASE against the formula of its paper, written densely."""

import tracemalloc

import numpy as np

from recsmith.contracts.data import ABSENT, Histories, Interactions, Requests
from recsmith.contracts.plugins import Sizes
from recsmith_plugins.models.ease import EASE, EASEConfig, memory


def log():
    rng = np.random.default_rng(2)
    indptr = np.arange(0, 50 * 6 + 1, 6)
    return Interactions(Histories(indptr, rng.integers(0, 20, 300).astype(np.int32)), 50, 20, ordered=True)


def test_weights_are_the_closed_form():
    interactions = log()
    taken = interactions.histories.matrix(20).toarray().astype(np.float64)
    inverse = np.linalg.inv(taken.T @ taken + 7.0 * np.eye(20))
    expected = inverse / -np.diag(inverse)[None, :]
    np.fill_diagonal(expected, 0.0)
    model = EASE(EASEConfig(l2=7.0))
    model.fit(interactions)
    np.testing.assert_allclose(model.weights, expected, atol=1e-6)


def test_scores_are_the_history_times_the_weights():
    model = EASE(EASEConfig(l2=7.0, history_half_life=1.0))
    model.fit(log())
    asked = Requests(np.array([ABSENT], np.int32), Histories(np.array([0, 2]), np.array([3, 5], np.int32)))
    np.testing.assert_allclose(model.scores(asked)[0], 0.5 * model.weights[3] + model.weights[5], atol=1e-6)


def peak(items):
    """Bytes that fitting takes at its peak, of a log in which all items meet."""
    rng = np.random.default_rng(0)
    histories = Histories(np.arange(0, 200 * 400 + 1, 400), rng.integers(0, items, 80_000).astype(np.int32))
    model = EASE(EASEConfig())
    tracemalloc.start()
    model.fit(Interactions(histories, 200, items, ordered=True))
    found = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return found


def test_memory_grows_as_it_says():
    said = [memory(EASEConfig(), Sizes(200, items, 80_000, 400)) for items in (400, 1200)]
    grown = peak(1200) - peak(400)
    assert 0.5 < grown / (said[1] - said[0]) < 1.05
