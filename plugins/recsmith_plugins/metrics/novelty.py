"""Novelty@K: how little known the recommended items are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from recsmith.contracts.data import ABSENT
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import MetricSpec

if TYPE_CHECKING:
    from recsmith.contracts.data import DoubleArray, RankedLists


def novelty(lists: RankedLists) -> DoubleArray:
    """Mean self-information of each list's items in bits, [B]; 0 for an empty list.

    An item's probability is its share of the training interactions; one without any counts as if it had one.
    """
    counts = np.maximum(lists.catalogue.counts, 1)
    bits = np.append(-np.log2(counts / max(1, lists.catalogue.counts.sum())), 0.0)  # the last place is ABSENT's
    present = (lists.items != ABSENT).sum(axis=1)
    return np.asarray(bits[lists.items].sum(axis=1) / np.maximum(present, 1), np.float64)


@hookimpl
def provide_metrics() -> list[MetricSpec]:
    """Offer the metric."""
    return [
        MetricSpec(
            name="novelty",
            api_version=1,
            build=lambda _config, _context: novelty,
            judges="ranking",
            direction="maximize",
            formula="(1 / n) Σ_{j≤n} -log2(max(c_j, 1) / Σ_i c_i), n = items in the list",
            source="Vargas and Castells 2011 (expected free discovery), doi:10.1145/2043932.2043955",
        )
    ]
