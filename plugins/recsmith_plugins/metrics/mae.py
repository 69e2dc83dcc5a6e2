"""MAE: mean absolute error of predicted ratings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import MetricSpec

if TYPE_CHECKING:
    from recsmith.contracts.data import DoubleArray, RatedPairs


def absolute_error(pairs: RatedPairs) -> tuple[DoubleArray, DoubleArray]:
    """Sum of absolute errors and number of pairs of every request, [B] each; in the unit of the ratings."""
    counts = np.diff(pairs.indptr)
    rows = np.repeat(np.arange(len(counts)), counts)
    sums = np.bincount(rows, np.abs(pairs.predicted - pairs.actual), minlength=len(counts))
    return sums.astype(np.float64), counts.astype(np.float64)


@hookimpl
def provide_metrics() -> list[MetricSpec]:
    """Offer the metric."""
    return [
        MetricSpec(
            name="mae",
            api_version=1,
            build=lambda _config, _context: absolute_error,
            judges="ratings",
            direction="minimize",
            formula="(1 / M) Σ_m |predicted_m - actual_m|",
            source="Willmott and Matsuura 2005, doi:10.3354/cr030079",
        )
    ]
