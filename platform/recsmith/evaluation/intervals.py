"""Bootstrap intervals over users: how far a figure would move had other users of the same kind been asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from recsmith.contracts.data import ABSENT
from recsmith.contracts.results import Figure

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from recsmith.contracts.data import DoubleArray, IntArray, LongArray, RankedLists
    from recsmith.contracts.plugins import CatalogueMetric

WHOLE_REPLICATES = 200  # of metrics that judge all lists together, each of which must be judged anew


@dataclass(frozen=True, eq=False)
class Mean:
    """A figure that is the weighted mean of the values of B requests, or what `finish` makes of that mean."""

    figure: float
    values: DoubleArray  # [B]
    weights: DoubleArray  # [B]
    finish: Callable[[float], float] = float


def of_means(
    means: Mapping[str, Mean], users: LongArray, *, seed: int, replicates: int, level: float
) -> dict[str, Figure]:
    """Percentile intervals of figures that are means over requests (Efron and Tibshirani 1993, chapter 13).

    Users are drawn with replacement, each with all of its requests. All figures share the draws, and a replicate costs
    one product of the draw's counts [U] with the users' sums [U, 2M]: memory is that of the users, not of replicates.

    Args:
        means: name -> figure.
        users: the dense number, from 0, of each request's user, [B] (see `user_groups`).
        seed: of the draws.
        replicates: how many draws.
        level: share of the replicates inside the interval.
    """
    if not means or not len(users):
        return {name: Figure(value=mean.figure, low=mean.figure, high=mean.figure) for name, mean in means.items()}
    count = int(users.max()) + 1
    columns = [column for mean in means.values() for column in (mean.values * mean.weights, mean.weights)]
    sums = np.stack([np.bincount(users, column, minlength=count) for column in columns], axis=1)  # [U, 2M]
    rng = np.random.default_rng(seed)
    drawn = (np.bincount(rng.integers(0, count, count), minlength=count) for _ in range(replicates))
    replicated = np.stack([times @ sums for times in drawn])  # [R, 2M]
    found = {}
    for place, (name, mean) in enumerate(means.items()):
        totals, weights = replicated[:, 2 * place], replicated[:, 2 * place + 1]
        ratios = totals / np.where(weights > 0, weights, 1.0)
        found[name] = _figure(mean.figure, np.array([mean.finish(float(ratio)) for ratio in ratios]), level)
    return found


def of_lists(
    judges: Mapping[str, tuple[CatalogueMetric, RankedLists]], users: LongArray, *, seed: int, level: float
) -> dict[str, Figure]:
    """Intervals of metrics that judge all lists together, by judging 200 resampled sets of users.

    A resampled set repeats users, so that it covers less of the catalogue than the users themselves: the replicates
    tell the spread, but not the place. They are shifted so that their median is the figure.
    """
    values = {name: metric(lists) for name, (metric, lists) in judges.items()}
    if not judges or not len(users):
        return {name: Figure(value=value, low=value, high=value) for name, value in values.items()}
    count = int(users.max()) + 1
    by_user = np.argsort(users, kind="stable")
    begin = np.concatenate([[0], np.cumsum(np.bincount(users, minlength=count))])
    rng = np.random.default_rng(seed)
    replicated: dict[str, list[float]] = {name: [] for name in judges}
    for _ in range(WHOLE_REPLICATES):
        drawn = rng.integers(0, count, count)
        lengths = begin[drawn + 1] - begin[drawn]
        within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        rows = by_user[np.repeat(begin[drawn], lengths) + within]
        for name, (metric, lists) in judges.items():
            replicated[name].append(metric(lists.take(rows)))
    spreads = {name: np.array(replicated[name]) for name in judges}
    return {
        name: _figure(value, spreads[name] + (value - np.median(spreads[name])), level)
        for name, value in values.items()
    }


def user_groups(user_num: IntArray) -> LongArray:
    """A dense number from 0 for the user of each request, [B]; every request of an unknown user is one of its own."""
    alone = -np.arange(1, len(user_num) + 1, dtype=np.int64)
    named = np.where(user_num == ABSENT, alone, user_num)
    groups: LongArray = np.unique(named, return_inverse=True)[1].astype(np.int64)
    return groups


def _figure(value: float, replicated: DoubleArray, level: float) -> Figure:
    low, high = np.quantile(replicated, [(1 - level) / 2, (1 + level) / 2])
    # Sums of other users in another order may round the other way: a figure never lies beyond its own interval.
    return Figure(value=value, low=min(value, float(low)), high=max(value, float(high)))
