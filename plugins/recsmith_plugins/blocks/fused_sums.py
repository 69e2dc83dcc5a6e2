"""Several ranked lists as one by sums: every list credits its items, and the largest sums win."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from recsmith.contracts.data import ABSENT
from recsmith.contracts.errors import PlanError

if TYPE_CHECKING:
    from recsmith.contracts.data import DoubleArray, FloatArray, IntArray


def weights_of(members: int, weights: tuple[float, ...] | None, combiner: str) -> tuple[float, ...]:
    """One weight for each member, all 1 where none are given.

    Raises:
        PlanError: there are not as many weights as members.
    """
    weights = weights or (1.0,) * members
    if len(weights) != members:
        raise PlanError(f"{combiner}: weights: {len(weights)} given for {members} lists; give one each, or none.")
    return weights


def largest_sums(items: list[IntArray], gains: list[DoubleArray], k: int) -> tuple[IntArray, FloatArray]:
    """Sum what M lists [B, K_m] credit to each item: the k items [B, k] of the largest sums, and the sums.

    Equal sums are ordered by item number; places that no list fills hold ABSENT and -inf.
    """
    every, gained = np.concatenate(items, axis=1), np.concatenate(gains, axis=1)  # [B, C]
    # An item's gains are added in the order of their size: whichever members they come from, equal sums are equal bits.
    order = np.lexsort((gained, every), axis=1)
    every, gained = np.take_along_axis(every, order, 1), np.take_along_axis(gained, order, 1)
    opens = np.ones(every.shape, np.bool_)  # where a new item begins
    opens[:, 1:] = every[:, 1:] != every[:, :-1]
    starts = np.flatnonzero(opens)
    sums = np.full(every.size, -np.inf)
    sums[starts] = np.add.reduceat(gained.ravel(), starts)
    sums = np.where(every == ABSENT, -np.inf, sums.reshape(every.shape))
    best = np.lexsort((every, -sums), axis=1)[:, :k]  # by float64: rounded, sums of different size could be equal
    total, named = np.take_along_axis(sums, best, 1).astype(np.float32), np.take_along_axis(every, best, 1)
    missing = ((0, 0), (0, k - best.shape[1]))
    total = np.pad(total, missing, constant_values=-np.inf)
    named = np.pad(named, missing, constant_values=ABSENT)
    return np.where(total > -np.inf, named, ABSENT).astype(np.int32), total
