"""Sums of scores that were brought to one scale, more for an item on which the lists agree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np

from recsmith.contracts.config import Config
from recsmith.contracts.data import ABSENT
from recsmith.contracts.domains import Float
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import BuildContext, CombinerSpec

if TYPE_CHECKING:
    from recsmith.contracts.data import DoubleArray, FloatArray, IntArray, LongArray


class MyNameConfig(Config):
    """Settings."""

    agreement: Annotated[float, Float(0.0, 1.0)] = 0.5  # 0: plain sums (CombSUM); 1: times the lists (CombMNZ)


@dataclass(frozen=True)
class MyName:
    """(Sum of an item's scores, each list's from 0 to 1) * (number of lists that hold it) ** agreement."""

    config: MyNameConfig

    def combine(
        self, items: list[IntArray], scores: list[FloatArray], k: int, lengths: LongArray
    ) -> tuple[IntArray, FloatArray]:
        """Fuse M lists [B, K_m] into items [B, k] and scores [B, k]; equal scores are ordered by item number.

        Places that no list fills hold ABSENT and -inf. `lengths` [B] are the interactions in each request's history:
        these sums need none.
        """
        every = np.concatenate(items, axis=1)  # [B, C]
        scaled = np.concatenate([_scaled(*member) for member in zip(items, scores, strict=True)], axis=1)
        row, place = np.nonzero(every != ABSENT)
        pairs = np.stack([row, every[row, place]])
        (row, item), which, lists = np.unique(pairs, axis=1, return_inverse=True, return_counts=True)
        total = np.bincount(which.ravel(), scaled[pairs[0], place], minlength=len(row))
        total = (total * lists**self.config.agreement).astype(np.float32)
        order = np.lexsort((item, -total, row))
        row, item, total = row[order], item[order], total[order]
        rank = np.arange(len(row)) - np.searchsorted(row, row)  # `row` is sorted: the first of a row has rank 0
        kept = rank < k
        named, best = np.full((len(every), k), ABSENT, np.int32), np.full((len(every), k), -np.inf, np.float32)
        named[row[kept], rank[kept]], best[row[kept], rank[kept]] = item[kept], total[kept]
        return named, best


def _scaled(items: IntArray, scores: FloatArray) -> DoubleArray:
    """Scores [B, K_m] from 0 (last of the list) to 1 (first); 1 where all are equal, 0 where no item is."""
    present = items != ABSENT
    values = np.where(present, scores, 0.0).astype(np.float64)
    low = np.min(values, axis=1, keepdims=True, where=present, initial=np.inf)
    high = np.max(values, axis=1, keepdims=True, where=present, initial=-np.inf)
    spread = high > low
    shares = np.where(spread, values - low, 1.0) / np.where(spread, high - low, 1.0)
    return np.where(present, shares, 0.0)


def build(config: MyNameConfig, context: BuildContext) -> MyName:
    """A combiner."""
    return MyName(config)


@hookimpl
def provide_combiners() -> list[CombinerSpec]:
    """Offer the combiner."""
    return [
        CombinerSpec(
            name="my_name",
            api_version=1,
            config=MyNameConfig,
            source="Fox and Shaw 1994, Combination of Multiple Searches",
            build=build,
        )
    ]
