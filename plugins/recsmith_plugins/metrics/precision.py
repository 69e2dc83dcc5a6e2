"""Precision@K: the share of the K places that hold a target."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import MetricSpec

if TYPE_CHECKING:
    from recsmith.contracts.data import DoubleArray, RankedLists


def precision(lists: RankedLists) -> DoubleArray:
    """Hits over K, [B]; a list with fewer than K items is still divided by K."""
    return np.asarray(lists.hits.mean(axis=1), np.float64)


@hookimpl
def provide_metrics() -> list[MetricSpec]:
    """Offer the metric."""
    return [
        MetricSpec(
            name="precision",
            api_version=1,
            build=lambda _config, _context: precision,
            judges="ranking",
            direction="maximize",
            formula="(Σ_{j≤K} hit_j) / K",
            source="Manning, Raghavan and Schütze 2008, Introduction to Information Retrieval, chapter 8",
        )
    ]
