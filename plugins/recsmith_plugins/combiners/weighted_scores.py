"""Weighted sum of scores: every member's scores on one scale first, then the sum over the members (CombSUM)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import Field

from recsmith.contracts.config import Config
from recsmith.contracts.data import ABSENT
from recsmith.contracts.domains import Categorical
from recsmith.contracts.errors import PlanError
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import CombinerSpec

if TYPE_CHECKING:
    from recsmith.contracts.data import BoolArray, DoubleArray, FloatArray, IntArray
    from recsmith.contracts.plugins import BuildContext


class WeightedScoresConfig(Config):
    """Settings of the sum."""

    scale: Annotated[str, Categorical(("min_max", "z_score"))] = "min_max"  # unit: a list's range or its deviation
    weights: tuple[Annotated[float, Field(gt=0, allow_inf_nan=False)], ...] | None = None  # one per member; None: all 1


@dataclass(frozen=True)
class WeightedScores:
    """Sum over the members of weight * scaled score; Fox and Shaw 1994, on the scale of Lee 1997.

    Each list of each request is scaled by itself, so only the distances within a list count: its lowest score becomes
    0, and the unit is the range of its scores ("min_max": the best becomes 1) or their standard deviation ("z_score").
    An item that a list does not hold gets 0 from it, as if it stood there last. So z-scores are shifted: around their
    mean, an item that is missing would pass every item below the mean. A list whose scores are all equal, as a list of
    one item, says only which items it holds, and gives each of them 1.
    """

    config: WeightedScoresConfig

    def combine(self, items: list[IntArray], scores: list[FloatArray], k: int) -> tuple[IntArray, FloatArray]:
        """Sum M lists [B, K_m] to items [B, k] and scores [B, k]; equal sums are ordered by item number.

        Places that no member fills hold ABSENT and -inf.

        Raises:
            PlanError: there are not as many weights as members.
        """
        gains = [
            weight * _scaled(values.astype(np.float64), ranked != ABSENT, self.config.scale)
            for weight, ranked, values in zip(self._weights(len(items)), items, scores, strict=True)
        ]
        return _best_sums(np.concatenate(items, axis=1), np.concatenate(gains, axis=1), k)

    def _weights(self, members: int) -> tuple[float, ...]:
        weights = self.config.weights or (1.0,) * members
        if len(weights) != members:
            raise PlanError(
                f"weighted_scores: weights: {len(weights)} given for {members} lists; give one each, or none."
            )
        return weights


def _scaled(scores: DoubleArray, held: BoolArray, by: str) -> DoubleArray:
    """Scores [B, K] where `held`, every row in its own unit above its own lowest; 0 elsewhere."""
    low = scores.min(axis=1, keepdims=True, where=held, initial=np.inf)
    above = np.where(held, scores - np.where(low < np.inf, low, 0.0), 0.0)
    reach = above.max(axis=1, keepdims=True, initial=0.0)
    flat = reach == 0
    unit = reach if by == "min_max" else _deviation(above, held)
    return np.where(flat, held, above / np.where(flat, 1.0, unit))


def _deviation(values: DoubleArray, held: BoolArray) -> DoubleArray:
    """Standard deviation [B, 1] of what every row holds."""
    count = np.maximum(held.sum(axis=1, keepdims=True), 1)
    apart = np.where(held, values - values.sum(axis=1, keepdims=True) / count, 0.0)
    spread: DoubleArray = np.sqrt(np.square(apart).sum(axis=1, keepdims=True) / count)
    return spread


def _best_sums(items: IntArray, gains: DoubleArray, k: int) -> tuple[IntArray, FloatArray]:
    """Sum the gains [B, C] of each item of a row, and name the k items of the largest sums."""
    # An item's gains are added in the order of their size: whichever members they come from, equal sums are equal bits.
    order = np.lexsort((gains, items), axis=1)
    every, gained = np.take_along_axis(items, order, 1), np.take_along_axis(gains, order, 1)
    opens = np.ones(every.shape, np.bool_)  # where a new item begins
    opens[:, 1:] = every[:, 1:] != every[:, :-1]
    starts = np.flatnonzero(opens)
    sums = np.full(every.size, -np.inf)
    sums[starts] = np.add.reduceat(gained.ravel(), starts)
    sums = np.where(every == ABSENT, -np.inf, sums.reshape(every.shape))
    best = np.lexsort((every, -sums), axis=1)[:, :k]  # by float64: rounded, sums of different size could be equal
    total, named = np.take_along_axis(sums, best, 1).astype(np.float32), np.take_along_axis(every, best, 1)
    missing = ((0, 0), (0, k - best.shape[1]))
    total = np.pad(total, missing, constant_values=-np.inf)
    named = np.pad(named, missing, constant_values=ABSENT)
    return np.where(total > -np.inf, named, ABSENT).astype(np.int32), total


def _build(config: WeightedScoresConfig, _context: BuildContext) -> WeightedScores:
    return WeightedScores(config)


@hookimpl
def provide_combiners() -> list[CombinerSpec]:
    """Offer the combiner."""
    return [
        CombinerSpec(
            name="weighted_scores",
            api_version=1,
            config=WeightedScoresConfig,
            build=_build,
            source="Fox and Shaw 1994 (CombSUM); Lee 1997, doi:10.1145/258525.258587 (min-max)",
        )
    ]
