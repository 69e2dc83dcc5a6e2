"""The items of a request, weighted by how recently the user turned to them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

from recsmith.contracts.domains import Float

if TYPE_CHECKING:
    from recsmith.contracts.data import Histories, LongArray

NO_DECAY = 1000.0  # a half-life of this length or more switches the weighting off, exactly
HALF_LIFE = Float(0.5, NO_DECAY, log=True)


def ages(histories: Histories) -> LongArray:
    """How many interactions of the same list are newer, [N]: 0 for the newest."""
    return histories.indptr[histories.rows + 1] - 1 - np.arange(len(histories.item_num), dtype=np.int64)


def weighted_rows(histories: Histories, items: int, half_life: float = NO_DECAY) -> sparse.csr_array:
    """Lists x items as float32: 0.5 ** (age / half_life) of the newest occurrence of each item.

    Ages are counted in interactions, so the weights do not depend on how busy a season was. With `half_life` of
    NO_DECAY every item of the list weighs 1.
    """
    if half_life >= NO_DECAY:
        return histories.matrix(items)
    age = ages(histories)
    cell = histories.rows * items + histories.item_num
    order = np.lexsort((age, cell))  # the newest occurrence of every cell first
    first = order[np.diff(cell[order], prepend=-1) != 0]
    weights = np.exp2(-age[first] / half_life).astype(np.float32)
    row, column = np.divmod(cell[first], items)
    indptr = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=len(histories)))])
    return sparse.csr_array((weights, column, indptr), shape=(len(histories), items))
