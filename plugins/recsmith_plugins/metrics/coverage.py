"""Coverage@K: the share of the catalogue that is recommended to anybody."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from recsmith.contracts.data import ABSENT
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import MetricSpec

if TYPE_CHECKING:
    from recsmith.contracts.data import RankedLists


def coverage(lists: RankedLists) -> float:
    """Distinct items in all lists over the size of the catalogue."""
    shown = np.zeros(lists.catalogue.items, np.bool_)
    shown[lists.items[lists.items != ABSENT]] = True
    return float(shown.mean())


@hookimpl
def provide_metrics() -> list[MetricSpec]:
    """Offer the metric."""
    return [
        MetricSpec(
            name="coverage",
            api_version=1,
            build=lambda _config, _context: coverage,
            judges="catalogue",
            within=(0.0, 1.0),
            direction="maximize",
            formula="|union over b of the items of list b| / I",
            source="Ge, Delgado-Battenfeld and Jannach 2010, doi:10.1145/1864708.1864761",
        )
    ]
