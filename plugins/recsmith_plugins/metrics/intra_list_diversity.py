"""IntraListDiversity@K: how different the items of one list are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

from recsmith.contracts.data import ABSENT
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import MetricSpec

if TYPE_CHECKING:
    from recsmith.contracts.data import DoubleArray, RankedLists

CELLS = 2**22  # of the lists' summed vectors that are held at once


def intra_list_diversity(lists: RankedLists) -> DoubleArray:
    """Mean of 1 - cosine over the pairs of items of each list, [B]; 0 for a list with fewer than two items.

    The cosines of all pairs of n unit vectors sum to (|sum of the vectors|^2 - sum of |vector|^2) / 2, which needs n
    steps rather than n^2. The vectors are the catalogue's `similarity`; an item without any (a row of zeros) has
    cosine 0 with all others.
    """
    if lists.catalogue.similarity is None:
        msg = "intra-list diversity needs CatalogueFacts.similarity"
        raise ValueError(msg)
    present = lists.items != ABSENT
    count = present.sum(axis=1)
    pairs = count * (count - 1.0)
    shown, place = np.unique(lists.items[present], return_inverse=True)
    vectors = sparse.csr_array(lists.catalogue.similarity[shown]).astype(np.float64)
    indptr = np.concatenate([[0], np.cumsum(count)])
    members = sparse.csr_array((np.ones(len(place)), place, indptr), shape=(len(count), len(shown)))
    cosines = _squared_lengths(members, vectors) - members @ vectors.power(2).sum(axis=1)
    return np.where(pairs > 0, 1.0 - cosines / np.maximum(pairs, 1.0), 0.0)


def _squared_lengths(members: sparse.csr_array, vectors: sparse.csr_array) -> DoubleArray:
    """Squared length of the sum of each list's vectors, [B], a few lists at a time."""
    lists, width = members.shape[0], max(1, vectors.shape[1])
    squared = np.zeros(lists)
    step = max(1, CELLS // width)
    for start in range(0, lists, step):
        squared[start : start + step] = (members[start : start + step] @ vectors).power(2).sum(axis=1)
    return squared


@hookimpl
def provide_metrics() -> list[MetricSpec]:
    """Offer the metric."""
    return [
        MetricSpec(
            name="intra_list_diversity",
            api_version=1,
            build=lambda _config, _context: intra_list_diversity,
            judges="ranking",
            direction="maximize",
            formula="(2 / (n (n - 1))) Σ_{i<j} (1 - cos(v_i, v_j)), n = items in the list",
            needs=frozenset({"similarity"}),
            source="Ziegler, McNee, Konstan and Lausen 2005, doi:10.1145/1060745.1060754",
        )
    ]
