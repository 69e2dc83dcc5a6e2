"""One model judged on one fold: every metric asked for, from one ranking of the whole catalogue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from recsmith.contracts.errors import PlanError
from recsmith.contracts.results import Figure
from recsmith.evaluation.intervals import Mean, of_lists, of_means, user_groups
from recsmith.evaluation.lists import cut, ranked_lists
from recsmith.evaluation.names import Measure, measures
from recsmith.evaluation.ratings import rated_pairs
from recsmith.inference.ranking import rank

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from recsmith.contracts.data import DoubleArray, FloatArray, Fold, IntArray, RankedLists, RatedPairs
    from recsmith.contracts.models import Model
    from recsmith.wiring.registry import Registry


ITEM_COLD = ("cold_item", "both_cold")


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What a judging found of B requests.

    `per_request` has the value of each request under every metric but those of the whole catalogue; for ratings that
    is its mean (absolute or squared) error, and `weights` tells over how many pairs. `lists` and `scores` are those of
    the largest cut-off, None where only ratings were judged.
    """

    figures: Mapping[str, float]
    per_request: Mapping[str, DoubleArray]  # name -> [B]
    weights: Mapping[str, DoubleArray]  # name -> [B]; 1 for ranked lists
    user_num: IntArray  # [B], ABSENT for a user that training has not seen
    lists: RankedLists | None  # items and hits [B, K]
    scores: FloatArray | None  # [B, K]
    asked: tuple[Measure, ...]

    def intervals(self, seed: int, *, replicates: int = 1000, level: float = 0.95) -> dict[str, Figure]:
        """Every figure with its bootstrap interval over users; 200 replicates where all lists are judged together."""
        users = user_groups(self.user_num)
        means = {
            measure.name: Mean(
                self.figures[measure.name],
                self.per_request[measure.name],
                self.weights[measure.name],
                measure.spec.finish,
            )
            for measure in self.asked
            if measure.name in self.per_request
        }
        found = of_means(means, users, seed=seed, replicates=replicates, level=level)
        if self.lists is not None:
            judges = {
                measure.name: (measure.metric, cut(self.lists, measure.k))
                for measure in self.asked
                if measure.spec.judges == "catalogue"
            }
            found |= of_lists(judges, users, seed=seed, level=level)
        return {measure.name: _clipped(found[measure.name], measure.spec.within) for measure in self.asked}


def _clipped(figure: Figure, within: tuple[float, float]) -> Figure:
    """The figure with an interval of values that the metric can take."""
    low, high = within
    return Figure(value=figure.value, low=max(low, figure.low), high=min(high, figure.high))


def judge(
    model: Model,
    fold: Fold,
    metrics: Sequence[str],
    registry: Registry,
    *,
    scenario: str = "next_item",
    mask_seen: bool = True,
) -> Evaluation:
    """Judge `model` on the holdout of `fold`.

    Lists are of the whole catalogue, without the items of the request's history when `mask_seen`; in the item-cold
    scenarios they are of the items without any training row, in another domain of those of that domain. One ranking to
    the largest cut-off serves all. Cosines between items, for metrics that need them, are those of the columns of the
    training matrix: two items are alike when the same users interacted with them. For ratings see `rated_pairs`.

    Raises:
        PlanError: a metric is unknown or has a wrong cut-off, or ratings are to be judged where there are none.
        NotFiniteError: a score is NaN or infinite.
    """
    asked = tuple(measures(metrics, registry))
    rated = [measure.name for measure in asked if measure.spec.judges == "ratings"]
    if rated and scenario != "rating":
        raise PlanError(
            f"metric {rated[0]!r} judges ratings, but the scenario is {scenario!r}. Write scenario: rating."
        )
    cuts = [measure.k for measure in asked if measure.spec.judges != "ratings"]
    catalogue = fold.train.items
    items: IntArray | None = None
    scores: FloatArray | None = None
    if cuts:
        among = fold.train.counts == 0 if scenario in ITEM_COLD else fold.candidates
        items, scores = rank(model, fold.holdout.requests, max(cuts), items=catalogue, mask_seen=mask_seen, among=among)
    pairs = rated_pairs(model, fold.holdout, catalogue) if rated else None
    return _evaluation(asked, fold, items, scores, pairs)


def _evaluation(
    asked: tuple[Measure, ...],
    fold: Fold,
    items: IntArray | None,
    scores: FloatArray | None,
    pairs: RatedPairs | None,
) -> Evaluation:
    similarity = any("similarity" in measure.spec.needs for measure in asked)
    lists = None if items is None else ranked_lists(items, fold, similarity=similarity)
    figures: dict[str, float] = {}
    values: dict[str, DoubleArray] = {}
    weights: dict[str, DoubleArray] = {}
    for measure in asked:
        judged: Any = pairs if lists is None or measure.spec.judges == "ratings" else cut(lists, measure.k)
        result = measure.metric(judged)
        if measure.spec.judges == "catalogue":
            figures[measure.name] = result
            continue
        total, weight = result if measure.spec.judges == "ratings" else (result, np.ones(len(result)))
        mean = float(total.sum() / max(1.0, weight.sum()))
        figures[measure.name] = measure.spec.finish(mean)
        values[measure.name], weights[measure.name] = total / np.maximum(weight, 1.0), weight
    return Evaluation(figures, values, weights, fold.holdout.requests.user_num, lists, scores, asked)
