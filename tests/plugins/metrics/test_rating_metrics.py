"""MAE and RMSE agree with scikit-learn to 1e-9."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import mean_absolute_error, root_mean_squared_error

from recsmith.contracts.data import RatedPairs

ORACLES = {"mae": mean_absolute_error, "rmse": root_mean_squared_error}


@pytest.mark.parametrize("name", ORACLES)
def test_figures_agree_with_scikit_learn(name, metric, registry):
    @settings(max_examples=60, deadline=None)
    @given(seed=st.integers(0, 2**32 - 1), lengths=st.lists(st.integers(0, 5), min_size=1, max_size=8))
    def agree(seed, lengths):
        rng = np.random.default_rng(seed)
        lengths = [*lengths, 1]
        indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        predicted, actual = rng.uniform(-2, 7, indptr[-1]), rng.integers(1, 6, indptr[-1]).astype(float)
        sums, counts = metric(name)(RatedPairs(indptr, predicted, actual))
        assert counts.tolist() == lengths
        figure = registry.spec("metrics", name).finish(sums.sum() / counts.sum())
        assert ORACLES[name](actual, predicted) == pytest.approx(figure, abs=1e-9)

    agree()


def test_errors_are_summed_request_by_request(metric):
    pairs = RatedPairs(np.array([0, 2, 2, 3]), np.array([1.0, 4.0, 3.0]), np.array([2.0, 2.0, 3.5]))
    sums, counts = metric("rmse")(pairs)
    assert (sums.tolist(), counts.tolist()) == ([5.0, 0.0, 0.25], [2.0, 0.0, 1.0])
