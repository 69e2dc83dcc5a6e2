"""RMSE: root of the mean squared error of predicted ratings."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import MetricSpec

if TYPE_CHECKING:
    from recsmith.contracts.data import DoubleArray, RatedPairs


def squared_error(pairs: RatedPairs) -> tuple[DoubleArray, DoubleArray]:
    """Sum of squared errors and number of pairs of every request, [B] each; the root is taken of the mean of all."""
    counts = np.diff(pairs.indptr)
    rows = np.repeat(np.arange(len(counts)), counts)
    sums = np.bincount(rows, (pairs.predicted - pairs.actual) ** 2, minlength=len(counts))
    return sums.astype(np.float64), counts.astype(np.float64)


@hookimpl
def provide_metrics() -> list[MetricSpec]:
    """Offer the metric."""
    return [
        MetricSpec(
            name="rmse",
            api_version=1,
            build=lambda _config, _context: squared_error,
            judges="ratings",
            direction="minimize",
            formula="√((1 / M) Σ_m (predicted_m - actual_m)²)",
            finish=math.sqrt,
            source="Herlocker, Konstan, Terveen and Riedl 2004, doi:10.1145/963770.963772",
        )
    ]
