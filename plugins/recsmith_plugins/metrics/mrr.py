"""MRR@K: how far up the first hit stands."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import MetricSpec

if TYPE_CHECKING:
    from recsmith.contracts.data import DoubleArray, RankedLists


def reciprocal_rank(lists: RankedLists) -> DoubleArray:
    """One over the rank of the first hit, [B]; 0 where there is none among the K."""
    first = lists.hits.argmax(axis=1)  # [B], 0 also without a hit
    return np.where(lists.hits.any(axis=1), 1.0 / (first + 1.0), 0.0)


@hookimpl
def provide_metrics() -> list[MetricSpec]:
    """Offer the metric."""
    return [
        MetricSpec(
            name="mrr",
            api_version=1,
            build=lambda _config, _context: reciprocal_rank,
            judges="ranking",
            direction="maximize",
            formula="1 / min{j ≤ K: hit_j = 1}, 0 if there is no hit",
            source="Voorhees 1999, The TREC-8 Question Answering Track Report",
        )
    ]
