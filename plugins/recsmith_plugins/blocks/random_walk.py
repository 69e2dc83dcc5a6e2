"""Random walks of two steps over the graph of users and items: from an item to its users, and on to their items."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

from recsmith_plugins.blocks.similarity import nearest, summing_to_one

if TYPE_CHECKING:
    from recsmith.contracts.plugins import Sizes


def walked(
    takers: sparse.csr_array, *, alpha: float, beta: float, neighbours: int, normalise: bool
) -> sparse.csr_array:
    """The weight of a walk from each item to its `neighbours` likeliest ones, [I, I] float32.

    Sum over users u of (w_ui / d_i)^alpha (w_uj / d_u)^alpha / d_j^beta, where d are sums of w. What belongs to i alone
    does not change which j are likeliest, so both sides are weighed as j, which makes the matrix symmetric and lets one
    fast routine serve; the difference is made good afterwards. The catalogue is never squared.

    Args:
        takers: the weight w of every item (row) to every user, positive float32 [I, U].
        alpha: exponent of the probabilities of single steps.
        beta: exponent of the popularity that the end of a walk is divided by.
        neighbours: kept per item; itself is one of them.
        normalise: whether the weights from an item sum to 1.
    """
    weights = takers.data.astype(np.float64)
    of_item = np.asarray(takers.sum(axis=1, dtype=np.float64)).ravel()
    of_user = np.bincount(takers.indices, weights=weights, minlength=takers.shape[1])
    of_item[of_item == 0] = 1.0  # such an item has no walk
    rows = np.repeat(np.arange(takers.shape[0]), np.diff(takers.indptr))
    data = (weights / np.sqrt(of_user[takers.indices])) ** alpha * (of_item**-beta)[rows]
    found = nearest(sparse.csr_array((data, takers.indices, takers.indptr), shape=takers.shape), neighbours)
    found.data *= np.repeat(of_item ** (beta - alpha), np.diff(found.indptr))
    return (summing_to_one(found) if normalise else found).astype(np.float32)


def walk_bytes(sizes: Sizes, neighbours: int) -> float:
    """Bytes at the peak of `walked`: 64 x N for the rows, 36 x I x neighbours for the pairs."""
    return 64.0 * sizes.interactions + 36.0 * sizes.items * min(neighbours, sizes.items)
