"""PopularityLift@K: how much more popular the lists are than what people interacted with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from recsmith.contracts.data import ABSENT
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import MetricSpec

if TYPE_CHECKING:
    from recsmith.contracts.data import DoubleArray, RankedLists


def popularity_lift(lists: RankedLists) -> DoubleArray:
    """Relative difference of each list's mean popularity to that of the training interactions, [B].

    0 when the list is as popular as the average interaction, 1 when it is twice as popular, -1 when nobody has
    interacted with any of its items; 0 for an empty list. After Abdollahpouri et al., who compare with the profiles of
    a group of users; here the group is all users, each weighted by the length of the profile.
    """
    counts = lists.catalogue.counts.astype(np.float64)
    usual = counts @ counts / max(1.0, counts.sum())
    present = (lists.items != ABSENT).sum(axis=1)
    mean = np.append(counts, 0.0)[lists.items].sum(axis=1) / np.maximum(present, 1)  # the last place is ABSENT's
    return np.where((present > 0) & (usual > 0), mean / max(usual, 1.0) - 1.0, 0.0)


@hookimpl
def provide_metrics() -> list[MetricSpec]:
    """Offer the metric."""
    return [
        MetricSpec(
            name="popularity_lift",
            api_version=1,
            build=lambda _config, _context: popularity_lift,
            judges="ranking",
            direction="minimize",
            formula="((1 / n) Σ_{j≤n} c_j - p) / p, p = Σ_i c_i² / Σ_i c_i, n = items in the list",
            source="Abdollahpouri, Mansoury, Burke and Mobasher 2020, doi:10.1145/3383313.3418487",
        )
    ]
