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
    recent, column, size = _places(histories, length)
    inputs = np.zeros((len(size), int(size.max())), np.int64)
    inputs[recent.rows, column] = recent.item_num.astype(np.int64) + 1
    return inputs, size - 1


def padded_times(histories: Histories, length: int) -> LongArray | None:
    """The moment of each of those inputs in Unix seconds, [B, T] as in `Batch.times`; None without timestamps.

    The start token has the moment of the interaction that follows it, padding 0.
    """
    recent, column, size = _places(histories, length)
    if recent.timestamp is None:
        return None
    times = np.zeros((len(size), int(size.max())), np.int64)
    times[recent.rows, column] = recent.timestamp
    opened = np.flatnonzero((histories.lengths < length) & (recent.lengths > 0))
    if len(opened):
        times[opened, 0] = times[opened, 1]
    return times


def _places(histories: Histories, length: int) -> tuple[Histories, LongArray, LongArray]:
    """The last interactions, the column of each, and how many inputs each history has, [B]."""
    recent = histories.last(length)
    opened = (histories.lengths < length).astype(np.int64)  # a start token still fits
    column = np.arange(len(recent.item_num)) - np.repeat(recent.indptr[:-1] - opened, recent.lengths)
    return recent, column, recent.lengths + opened
