"""MAP@K: precision at every hit, averaged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import MetricSpec

if TYPE_CHECKING:
    from recsmith.contracts.data import DoubleArray, RankedLists


def average_precision(lists: RankedLists) -> DoubleArray:
    """Sum of the precision at each hit over min(relevant, K), [B]; 0 without targets.

    The definition of implicit's `mean_average_precision_at_k`; trec_eval's map_cut divides by all targets instead, so
    that 1 cannot be reached by requests with more than K of them.
    """
    K = lists.items.shape[1]
    precision = lists.hits.cumsum(axis=1) / np.arange(1, K + 1)  # [B, K]
    total: DoubleArray = (precision * lists.hits).sum(axis=1)
    return total / np.maximum(np.minimum(lists.relevant, K), 1)


@hookimpl
def provide_metrics() -> list[MetricSpec]:
    """Offer the metric."""
    return [
        MetricSpec(
            name="map",
            api_version=1,
            build=lambda _config, _context: average_precision,
            judges="ranking",
            direction="maximize",
            formula="(Σ_{j≤K} hit_j · (Σ_{i≤j} hit_i) / j) / min(R, K)",
            source="Manning, Raghavan and Schütze 2008, chapter 8; cut at K as in implicit's evaluation",
        )
    ]
