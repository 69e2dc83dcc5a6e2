"""Histories as the padded inputs of sequence models."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from recsmith.contracts.data import Histories, LongArray


def padded(histories: Histories, length: int) -> tuple[LongArray, LongArray]:
    """The last T of (0, history) of B users, padded on the right: [B, T], and the place of each one's last, [B].

    Item i is i + 1, as in `Batch.inputs`.
    """
    recent = histories.last(length)
    opened = (histories.lengths < length).astype(np.int64)  # a start token still fits
    size = recent.lengths + opened
    inputs = np.zeros((len(size), int(size.max())), np.int64)
    column = np.arange(len(recent.item_num)) - np.repeat(recent.indptr[:-1] - opened, recent.lengths)
    inputs[recent.rows, column] = recent.item_num.astype(np.int64) + 1
    return inputs, size - 1
