"""nDCG@K: hits count less the further down they stand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import MetricSpec

if TYPE_CHECKING:
    from recsmith.contracts.data import DoubleArray, RankedLists


def ndcg(lists: RankedLists) -> DoubleArray:
    """Discounted gain of the hits over that of the best list possible, [B]; 0 without targets.

    Gain is 1 for a hit; the best list holds min(relevant, K) hits at its top, so 1 can be reached at every K. This is
    trec_eval's ndcg_cut with binary judgements.
    """
    K = lists.items.shape[1]
    discount = 1.0 / np.log2(np.arange(2, K + 2))  # [K]
    ideal = np.concatenate([[0.0], np.cumsum(discount)])[np.minimum(lists.relevant, K)]  # [B]
    gained: DoubleArray = lists.hits @ discount
    return np.divide(gained, np.where(ideal > 0, ideal, 1.0), dtype=np.float64)


@hookimpl
def provide_metrics() -> list[MetricSpec]:
    """Offer the metric."""
    return [
        MetricSpec(
            name="ndcg",
            api_version=1,
            build=lambda _config, _context: ndcg,
            judges="ranking",
            direction="maximize",
            formula="(Σ_{j≤K} hit_j / log2(j + 1)) / (Σ_{j≤min(R,K)} 1 / log2(j + 1))",
            source="Järvelin and Kekäläinen 2002, doi:10.1145/582415.582418",
        )
    ]
