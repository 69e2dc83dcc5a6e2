"""EASE against the formula of its paper, written densely."""

import numpy as np
import pytest

from recsmith.contracts.data import ABSENT, Histories, Interactions, Requests
from recsmith.contracts.errors import DataError
from recsmith.contracts.plugins import BuildContext
from recsmith_plugins.models.ease import EASE, EASEConfig, build


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


def test_a_catalogue_too_large_is_refused_before_anything_is_computed():
    context = BuildContext(1, 20_001, np.zeros(20_001, np.int64), 0, "cpu", lambda _kind, _choice: None)
    with pytest.raises(DataError, match="20,001 items need 6 GB"):
        build(EASEConfig(), context)
