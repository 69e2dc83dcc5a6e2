"""What to try first, from what is remembered: the few configurations that together leave the least regret.

Greedy portfolios after Xu et al., Hydra: automatically configuring algorithms for portfolio-based selection, 2010, and
Feurer et al., Auto-sklearn 2.0: hands-free AutoML via meta-learning, 2022; data sets that are near the new one count
more, as in Feurer et al., Initializing Bayesian hyperparameter optimization via meta-learning, 2015.

    D data sets, C candidates
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from recsmith.contracts.domains import Categorical
from recsmith.wiring.narrowing import domains_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from recsmith.contracts.data import DoubleArray
    from recsmith.contracts.domains import Domain, Scalar
    from recsmith.contracts.space import SearchSpace

NOTHING_LEFT = 1e-9  # of regret to win
LANDMARK = "landmark."  # how the name of such a feature begins
FAR = 4.0  # squared distance of two data sets that share no feature: two deviations
DIGITS = 9  # of a gain: those beyond are rounding
CANDIDATES = 20  # of each data set, its best


@dataclass(frozen=True)
class Outcome:
    """One point of the space on one data set."""

    point: Mapping[str, Scalar]  # live parameters by full path
    model: str
    value: float | None  # the objective; None where the trial failed
    seconds: float
    moved: tuple[str, ...] = ()  # what had to change for the space to hold it


def regrets(values: Sequence[float | None], *, maximize: bool) -> DoubleArray:
    """How far each value is behind the best, as a share of the best: 0 to 1, and 1 where there is none."""
    found = np.array([np.nan if value is None else value for value in values], np.float64)
    if np.isnan(found).all():
        return np.ones(len(found))
    best = np.nanmax(found) if maximize else np.nanmin(found)
    behind = np.abs(found - best) / max(abs(best), NOTHING_LEFT)
    shares: DoubleArray = np.where(np.isnan(behind), 1.0, np.minimum(behind, 1.0))
    return shares


def nearness(new: Mapping[str, float], others: Sequence[Mapping[str, float]]) -> DoubleArray:
    """The weight of each data set, [D], summing to 1: a Gaussian of its distance from the new one.

    Squared distances are means over the features that both have, each standardised over all data sets; landmarks weigh
    as much as everything else together. The width of the Gaussian is half the median distance.
    """
    if not others:
        return np.zeros(0)
    names = sorted({name for features in (new, *others) for name in features})
    scaled = _standardised(np.array([[features.get(name, np.nan) for name in names] for features in (new, *others)]))
    steps = (scaled[1:] - scaled[0]) ** 2  # NaN where one of the two lacks the feature
    landmark = np.array([name.startswith(LANDMARK) for name in names], bool)
    square = _mean(np.stack([_mean(steps[:, landmark]), _mean(steps[:, ~landmark])], axis=1))
    square = np.where(np.isnan(square), FAR, square)
    width = max(float(np.median(np.sqrt(square))) / 2, NOTHING_LEFT)
    weights = np.exp(-square / (2 * width**2)) + NOTHING_LEFT
    shares: DoubleArray = weights / weights.sum()
    return shares


def _standardised(table: DoubleArray) -> DoubleArray:
    """Each column with mean 0 and deviation 1 over the rows that have it; a constant one becomes 0."""
    centred: DoubleArray = table - _mean(table.T)
    deviation = np.sqrt(_mean((centred**2).T))
    return centred / np.where(deviation > NOTHING_LEFT, deviation, 1.0)


def _mean(table: DoubleArray) -> DoubleArray:
    """The mean of each row over what it has; NaN where it has nothing."""
    known = ~np.isnan(table)
    total, count = np.where(known, table, 0.0).sum(1), known.sum(1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def greedy(regret: DoubleArray, weights: DoubleArray, cost: DoubleArray) -> list[int]:
    """The candidates that one after the other lower the weighted regret of the best so far the most.

    Of equal ones that with the lower regret in the mean comes first, then the cheaper. Ends where nothing is to win.

    Args:
        regret: of each candidate on each data set, [D, C].
        weights: of the data sets, [D], summing to 1.
        cost: seconds of each candidate, [C].
    """
    left, chosen = np.ones(len(weights)), list[int]()
    mean = weights @ regret
    while True:
        gains = weights @ np.maximum(left[:, None] - regret, 0.0)
        best = int(np.lexsort((cost, mean, -gains.round(DIGITS)))[0])
        if gains[best] <= NOTHING_LEFT:
            return chosen
        chosen.append(best)
        left = np.minimum(left, regret[:, best])


def ranked(regret: DoubleArray, weights: DoubleArray, cost: DoubleArray) -> list[int]:
    """All candidates, [C]: a greedy portfolio, then another of the rest, and so on; arguments as for `greedy`."""
    rest, order = list(range(len(cost))), list[int]()
    while rest:
        chosen = greedy(regret[:, rest], weights, cost[rest]) or list(range(len(rest)))
        order += [rest[column] for column in chosen]
        rest = [column for column in rest if column not in order]
    return order


def portfolio(
    space: SearchSpace, remembered: Sequence[Sequence[Outcome]], weights: DoubleArray, *, maximize: bool
) -> list[Outcome]:
    """The outcomes whose points are to be tried first, in order; no more than have something to win.

    A data set tells of a point by the trial of the same model that is nearest to it; where the model was not tried it
    tells nothing, and the point cannot win there.

    Args:
        space: that of the new study; all points are of it.
        remembered: the outcomes of each data set, [D].
        weights: of the data sets, [D].
        maximize: whether a higher value is better.
    """
    own = [regrets([outcome.value for outcome in outcomes], maximize=maximize) for outcomes in remembered]
    candidates = _candidates(remembered, own)
    if not candidates:
        return []
    domains = dict(domains_of(space.root))
    regret = np.array([_told(candidates, *known, domains) for known in zip(remembered, own, strict=True)])
    cost = np.array([candidate.seconds for candidate in candidates])
    return [candidates[column] for column in greedy(regret, weights, cost)]


def _candidates(remembered: Sequence[Sequence[Outcome]], own: Sequence[DoubleArray]) -> list[Outcome]:
    """The best points of each data set, each point once."""
    found: dict[tuple[tuple[str, Scalar], ...], Outcome] = {}
    for outcomes, regret in zip(remembered, own, strict=True):
        there = [outcomes[place] for place in np.argsort(regret, kind="stable") if outcomes[place].value is not None]
        for outcome in there[:CANDIDATES]:
            found.setdefault(tuple(sorted(outcome.point.items())), outcome)
    return list(found.values())


def _told(
    candidates: Sequence[Outcome], outcomes: Sequence[Outcome], regret: DoubleArray, domains: Mapping[str, Domain]
) -> DoubleArray:
    """The regret of each candidate by the nearest outcome of its model, [C]."""
    found = np.ones(len(candidates))
    for column, candidate in enumerate(candidates):
        near = [
            (apart(candidate.point, outcome.point, domains), regret[place])
            for place, outcome in enumerate(outcomes)
            if outcome.model == candidate.model
        ]
        if near:
            found[column] = min(near)[1]
    return found


def apart(one: Mapping[str, Any], other: Mapping[str, Any], domains: Mapping[str, Domain]) -> float:
    """How far two points of one model are apart: the mean over their parameters, each 0 to 1 of its domain."""
    paths = {*one, *other}
    return sum(_step(one, other, path, domains.get(path)) for path in paths) / max(len(paths), 1)


def _step(one: Mapping[str, Any], other: Mapping[str, Any], path: str, domain: Domain | None) -> float:
    if path not in one or path not in other:
        return 1.0
    if domain is None or isinstance(domain, Categorical):
        return float(one[path] != other[path])
    low, high, *both = (float(value) for value in (domain.low, domain.high, one[path], other[path]))
    if domain.log:
        low, high, *both = (float(np.log(value)) for value in (low, high, *both))
    return abs(both[0] - both[1]) / (high - low) if high > low else 0.0
