"""Reciprocal rank fusion: an item scores the more, the higher it stands and the more lists hold it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import Field

from recsmith.contracts.config import Config
from recsmith.contracts.domains import Int
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import CombinerSpec
from recsmith_plugins.blocks.fused_sums import largest_sums, weights_of

if TYPE_CHECKING:
    from recsmith.contracts.data import FloatArray, IntArray, LongArray
    from recsmith.contracts.plugins import BuildContext


class ReciprocalRankFusionConfig(Config):
    """Settings of the fusion."""

    k: Annotated[int, Int(1, 200, log=True)] = 60  # the larger, the less the very top matters
    weights: tuple[Annotated[float, Field(gt=0)], ...] | None = None  # one per member; None: all 1


@dataclass(frozen=True)
class ReciprocalRankFusion:
    """Sum over the members of weight / (k + rank); Cormack, Clarke and Büttcher 2009."""

    config: ReciprocalRankFusionConfig

    def combine(
        self, items: list[IntArray], scores: list[FloatArray], k: int, lengths: LongArray
    ) -> tuple[IntArray, FloatArray]:
        """Fuse M lists [B, K_m] into items [B, k] and scores [B, k]; equal scores are ordered by item number.

        Places that no member fills hold ABSENT and -inf.

        Raises:
            PlanError: there are not as many weights as members.
        """
        weights = weights_of(len(items), self.config.weights, "reciprocal_rank_fusion")
        gains = [
            np.broadcast_to(weight / (self.config.k + np.arange(1.0, ranked.shape[1] + 1)), ranked.shape)
            for weight, ranked in zip(weights, items, strict=True)
        ]
        return largest_sums(items, gains, k)


def _build(config: ReciprocalRankFusionConfig, _context: BuildContext) -> ReciprocalRankFusion:
    return ReciprocalRankFusion(config)


@hookimpl
def provide_combiners() -> list[CombinerSpec]:
    """Offer the combiner."""
    return [
        CombinerSpec(
            name="reciprocal_rank_fusion",
            api_version=1,
            config=ReciprocalRankFusionConfig,
            build=_build,
            source="Cormack, Clarke and Büttcher 2009, doi:10.1145/1571941.1572114",
        )
    ]
