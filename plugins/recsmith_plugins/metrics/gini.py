"""Gini@K: how unevenly the lists' places are spread over the catalogue."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from recsmith.contracts.data import ABSENT
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import MetricSpec

if TYPE_CHECKING:
    from recsmith.contracts.data import RankedLists


def gini(lists: RankedLists) -> float:
    """Gini index of the items' exposure, items that are never shown included.

    0 when every item is shown equally often, 1 - 1/I when one item fills all places; 0 without any list.
    """
    shown = np.bincount(lists.items[lists.items != ABSENT], minlength=lists.catalogue.items)
    rank = np.arange(1, len(shown) + 1)
    total = shown.sum()
    return float((2 * rank - len(shown) - 1) @ np.sort(shown) / (len(shown) * total)) if total else 0.0


@hookimpl
def provide_metrics() -> list[MetricSpec]:
    """Offer the metric."""
    return [
        MetricSpec(
            name="gini",
            api_version=1,
            build=lambda _config, _context: gini,
            judges="catalogue",
            within=(0.0, 1.0),
            direction="minimize",
            formula="Σ_i Σ_j |n_i - n_j| / (2 I Σ_i n_i), n_i = lists that hold item i",
            source="Fleder and Hosanagar 2009, doi:10.1287/mnsc.1080.0974",
        )
    ]
