"""Serendipity@K: hits that a list of the most popular items would not have given."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import MetricSpec

if TYPE_CHECKING:
    from recsmith.contracts.data import DoubleArray, RankedLists


def serendipity(lists: RankedLists) -> DoubleArray:
    """Share of the K places that hold an unexpected hit, [B].

    Unexpected is what a primitive recommender, the K items with the most training interactions (ties by item number),
    does not hold; useful is what really followed.
    """
    K = lists.items.shape[1]
    expected = np.argsort(-lists.catalogue.counts, kind="stable")[:K]
    unexpected = lists.hits & ~np.isin(lists.items, expected)
    return np.asarray(unexpected.mean(axis=1), np.float64)


@hookimpl
def provide_metrics() -> list[MetricSpec]:
    """Offer the metric."""
    return [
        MetricSpec(
            name="serendipity",
            api_version=1,
            build=lambda _config, _context: serendipity,
            judges="ranking",
            direction="maximize",
            formula="(Σ_{j≤K} hit_j · [item_j is not among the K most popular]) / K",
            source="Ge, Delgado-Battenfeld and Jannach 2010, doi:10.1145/1864708.1864761",
        )
    ]
