"""Weighted sum of scores: every member's scores on one scale first, then the sum over the members (CombSUM)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import Field

from recsmith.contracts.config import Config
from recsmith.contracts.data import ABSENT
from recsmith.contracts.domains import Categorical
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import CombinerSpec
from recsmith_plugins.blocks.fused_sums import largest_sums, weights_of

if TYPE_CHECKING:
    from recsmith.contracts.data import BoolArray, DoubleArray, FloatArray, IntArray, LongArray
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

    def combine(
        self, items: list[IntArray], scores: list[FloatArray], k: int, lengths: LongArray
    ) -> tuple[IntArray, FloatArray]:
        """Sum M lists [B, K_m] to items [B, k] and scores [B, k]; equal sums are ordered by item number.

        Places that no member fills hold ABSENT and -inf.

        Raises:
            PlanError: there are not as many weights as members.
        """
        weights = weights_of(len(items), self.config.weights, "weighted_scores")
        gains = [
            weight * _scaled(values.astype(np.float64), ranked != ABSENT, self.config.scale)
            for weight, ranked, values in zip(weights, items, scores, strict=True)
        ]
        return largest_sums(items, gains, k)


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
