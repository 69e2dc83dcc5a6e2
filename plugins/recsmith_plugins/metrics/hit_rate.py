"""HitRate@K: whether the list holds any target."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import MetricSpec

if TYPE_CHECKING:
    from recsmith.contracts.data import DoubleArray, RankedLists


def hit_rate(lists: RankedLists) -> DoubleArray:
    """1 for a list with at least one hit, else 0, [B]."""
    return np.asarray(lists.hits.any(axis=1), np.float64)


@hookimpl
def provide_metrics() -> list[MetricSpec]:
    """Offer the metric."""
    return [
        MetricSpec(
            name="hit_rate",
            api_version=1,
            build=lambda _config, _context: hit_rate,
            judges="ranking",
            direction="maximize",
            formula="1 if Σ_{j≤K} hit_j ≥ 1 else 0",
            source="Deshpande and Karypis 2004, doi:10.1145/963770.963776",
        )
    ]
