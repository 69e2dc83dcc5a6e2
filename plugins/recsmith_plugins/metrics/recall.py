"""Recall@K: the share of the targets that the list holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import MetricSpec

if TYPE_CHECKING:
    from recsmith.contracts.data import DoubleArray, RankedLists


def recall(lists: RankedLists) -> DoubleArray:
    """Hits over all targets, [B]; 0 without targets. With more than K targets 1 cannot be reached."""
    return np.asarray(lists.hits.sum(axis=1) / np.maximum(lists.relevant, 1), np.float64)


@hookimpl
def provide_metrics() -> list[MetricSpec]:
    """Offer the metric."""
    return [
        MetricSpec(
            name="recall",
            api_version=1,
            build=lambda _config, _context: recall,
            judges="ranking",
            direction="maximize",
            formula="(Σ_{j≤K} hit_j) / R",
            source="Manning, Raghavan and Schütze 2008, Introduction to Information Retrieval, chapter 8",
        )
    ]
