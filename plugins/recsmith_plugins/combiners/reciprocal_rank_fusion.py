"""Reciprocal rank fusion: an item scores the more, the higher it stands and the more lists hold it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import Field

from recsmith.contracts.config import Config
from recsmith.contracts.data import ABSENT
from recsmith.contracts.domains import Int
from recsmith.contracts.errors import PlanError
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import CombinerSpec

if TYPE_CHECKING:
    from recsmith.contracts.data import DoubleArray, FloatArray, IntArray
    from recsmith.contracts.plugins import BuildContext


class ReciprocalRankFusionConfig(Config):
    """Settings of the fusion."""

    k: Annotated[int, Int(1, 200, log=True)] = 60  # the larger, the less the very top matters
    weights: tuple[Annotated[float, Field(gt=0)], ...] | None = None  # one per member; None: all 1


@dataclass(frozen=True)
class ReciprocalRankFusion:
    """Sum over the members of weight / (k + rank); Cormack, Clarke and Büttcher 2009."""

    config: ReciprocalRankFusionConfig

    def combine(self, items: list[IntArray], scores: list[FloatArray], k: int) -> tuple[IntArray, FloatArray]:  # noqa: ARG002 - only ranks count
        """Fuse M lists [B, K_m] into items [B, k] and scores [B, k]; equal scores are ordered by item number.

        Places that no member fills hold ABSENT and -inf.

        Raises:
            PlanError: there are not as many weights as members.
        """
        gains = [
            np.broadcast_to(weight / (self.config.k + np.arange(1.0, ranked.shape[1] + 1)), ranked.shape)
            for weight, ranked in zip(self._weights(len(items)), items, strict=True)
        ]
        every, gained = _sorted_by_item(np.concatenate(items, axis=1), np.concatenate(gains, axis=1))  # [B, C]
        rows, width = every.shape
        opens = np.ones((rows, width), np.bool_)  # where a new item begins
        opens[:, 1:] = every[:, 1:] != every[:, :-1]
        starts = np.flatnonzero(opens)
        total = np.full(rows * width, -np.inf)
        total[starts] = np.add.reduceat(gained.ravel(), starts)
        total = np.where(every == ABSENT, -np.inf, total.reshape(rows, width)).astype(np.float32)
        order = np.lexsort((every, -total), axis=1)[:, :k]
        best, named = np.take_along_axis(total, order, 1), np.take_along_axis(every, order, 1)
        missing = ((0, 0), (0, k - best.shape[1]))
        best = np.pad(best, missing, constant_values=-np.inf)
        named = np.pad(named, missing, constant_values=ABSENT)
        return np.where(best > -np.inf, named, ABSENT).astype(np.int32), best

    def _weights(self, members: int) -> tuple[float, ...]:
        weights = self.config.weights or (1.0,) * members
        if len(weights) != members:
            raise PlanError(
                f"reciprocal_rank_fusion: weights: {len(weights)} given for {members} lists; give one each, or none."
            )
        return weights


def _sorted_by_item(items: IntArray, gains: DoubleArray) -> tuple[IntArray, DoubleArray]:
    """Order every row by item, and an item's gains by size: equal gains then have exactly equal sums."""
    order = np.lexsort((gains, items), axis=1)
    return np.take_along_axis(items, order, 1), np.take_along_axis(gains, order, 1)


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
