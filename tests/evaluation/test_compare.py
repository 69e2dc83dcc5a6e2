"""Paired comparison of two models, against scipy's permutation test and bootstrap."""

import numpy as np
import pytest
from scipy import stats

from recsmith.evaluation.compare import paired


def mean_of_differences(a, b, axis):
    return (a - b).mean(axis=axis)


@pytest.mark.parametrize("shift", [0.0, 0.05, 0.15])
def test_p_value_and_interval_agree_with_scipy(shift):
    rng = np.random.default_rng(7)
    a = rng.random(150)
    b = a + shift + 0.3 * rng.standard_normal(150)
    ours = paired(a, b, seed=0, replicates=8000)
    oracle = stats.permutation_test(
        (a, b), mean_of_differences, permutation_type="samples", vectorized=True, n_resamples=8000, rng=1
    )
    assert ours.p_value == pytest.approx(oracle.pvalue, abs=0.025)
    spread = stats.bootstrap((a - b,), np.mean, method="percentile", n_resamples=8000, rng=1).confidence_interval
    assert (ours.low, ours.high) == pytest.approx((spread.low, spread.high), abs=0.1 * (spread.high - spread.low))
    assert ours.difference == pytest.approx((a - b).mean(), abs=1e-12)
    assert ours.n == 150


def test_equal_models_cannot_be_told_apart():
    values = np.random.default_rng(0).random(50)
    same = paired(values, values, seed=0)
    assert (same.difference, same.low, same.high, same.p_value) == (0.0, 0.0, 0.0, 1.0)


def test_with_few_users_the_p_value_counts_the_sign_flips():
    """Of the 2^3 ways to flip three equal differences, two are as large."""
    assert paired(np.ones(3), np.zeros(3), seed=0, replicates=8000).p_value == pytest.approx(0.25, abs=0.02)


def test_sides_change_the_sign_alone():
    rng = np.random.default_rng(2)
    a, b = rng.random(80), rng.random(80)
    one, other = paired(a, b, seed=5), paired(b, a, seed=5)
    assert one.difference == pytest.approx(-other.difference, abs=1e-15)
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low), abs=1e-12)
    assert one.p_value == other.p_value


def test_different_users_cannot_be_paired():
    with pytest.raises(ValueError, match="same users"):
        paired(np.ones(3), np.ones(4), seed=0)
