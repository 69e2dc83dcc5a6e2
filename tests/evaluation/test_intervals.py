"""Bootstrap intervals over users, against scipy's bootstrap and known spreads."""

import numpy as np
import pytest
from scipy import stats

from recsmith.contracts.data import ABSENT, CatalogueFacts, RankedLists
from recsmith.evaluation.intervals import Mean, of_lists, of_means, user_groups


def interval(values, weights, users, **options):
    settings = {"seed": 0, "replicates": 2000, "level": 0.95} | options
    figure = float(np.average(values, weights=weights))
    return of_means({"m": Mean(figure, values, weights)}, users, **settings)["m"]


def test_the_interval_of_a_mean_agrees_with_scipys_percentile_bootstrap():
    values = np.random.default_rng(1).exponential(size=400)
    ours = interval(values, np.ones(400), np.arange(400), replicates=6000)
    oracle = stats.bootstrap((values,), np.mean, method="percentile", n_resamples=6000, rng=0).confidence_interval
    assert ours.value == pytest.approx(values.mean(), abs=1e-12)
    width = oracle.high - oracle.low
    assert ours.low == pytest.approx(oracle.low, abs=0.05 * width)
    assert ours.high == pytest.approx(oracle.high, abs=0.05 * width)


def test_the_interval_of_weighted_means_agrees_with_scipys_bootstrap_of_the_ratio():
    rng = np.random.default_rng(2)
    values, weights = rng.exponential(size=300), rng.integers(1, 9, 300).astype(float)

    def ratio(total, weight, axis):
        return total.sum(axis=axis) / weight.sum(axis=axis)

    oracle = stats.bootstrap(
        (values * weights, weights), ratio, paired=True, method="percentile", n_resamples=6000, rng=0
    ).confidence_interval
    ours = interval(values, weights, np.arange(300), replicates=6000)
    width = oracle.high - oracle.low
    assert (ours.low, ours.high) == pytest.approx((oracle.low, oracle.high), abs=0.05 * width)


def test_requests_of_one_user_are_drawn_together():
    """Ten equal requests per user tell no more than one: the interval must not shrink by the root of ten."""
    values = np.random.default_rng(3).standard_normal(100)
    once = interval(values, np.ones(100), np.arange(100))
    tenfold = interval(np.repeat(values, 10), np.ones(1000), np.repeat(np.arange(100), 10))
    assert (once.low, once.high) == pytest.approx((tenfold.low, tenfold.high), abs=1e-9)


def test_unknown_users_are_each_their_own():
    groups = user_groups(np.array([4, ABSENT, 4, ABSENT, 0], np.int32))
    assert groups[0] == groups[2]
    assert len(set(groups.tolist())) == 4
    assert sorted(set(groups.tolist())) == [0, 1, 2, 3]


def test_the_interval_of_a_judge_of_all_lists_has_the_figure_at_its_heart():
    items = np.arange(60, dtype=np.int32)[:, None]  # everybody is shown another item: resampling can only lose some
    lists = RankedLists(items, items < 0, np.ones(60, np.int64), CatalogueFacts(60, 60, np.ones(60, np.int64)))

    def coverage(judged):
        return len(np.unique(judged.items)) / 60

    found = of_lists({"coverage": (coverage, lists)}, np.arange(60), seed=0, level=0.95)["coverage"]
    assert found.value == 1.0
    assert found.low < 1.0 < found.high < 1.2
    assert found.value - found.low == pytest.approx(found.high - found.value, abs=0.03)


def test_no_requests_have_an_interval_of_no_width():
    nothing = Mean(0.0, np.zeros(0), np.zeros(0))
    found = of_means({"m": nothing}, np.zeros(0, np.int64), seed=0, replicates=10, level=0.95)["m"]
    assert (found.value, found.low, found.high) == (0.0, 0.0, 0.0)
