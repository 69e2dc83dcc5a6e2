"""Ridge regression, one small problem for each of many lists, and how large its penalties are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from recsmith.contracts.data import DoubleArray, LongArray

CELLS = 1 << 21  # numbers of the systems that are solved at once: 16 MB


@dataclass(frozen=True, eq=False)
class Lists:
    """B lists one after the other: list b has the rows `index[indptr[b]:indptr[b + 1]]` of a table."""

    indptr: LongArray  # [B + 1]
    index: LongArray  # [N]
    weights: DoubleArray  # [N]

    @property
    def lengths(self) -> LongArray:
        """Rows of each list, [B]."""
        return np.diff(self.indptr)


@dataclass(frozen=True)
class Penalty:
    """L2 on vectors and their offsets, by how many ratings each has.

    `l2` is the penalty on a vector with an average number of ratings; with n times as many it is n to the power of
    `exponent` times as large. That on an offset is the same for all.
    """

    l2: float
    exponent: float
    bias_l2: float

    def of(self, counts: LongArray, average: float, width: int) -> DoubleArray:
        """Of vectors of that width and, last, their offsets: [B, width + 1], given how many ratings each has [B]."""
        penalties = np.full((len(counts), width + 1), self.bias_l2)
        penalties[:, :-1] = self.l2 * (np.maximum(counts, 1) / average)[:, None] ** self.exponent
        return penalties


def average_length(lengths: LongArray) -> float:
    """The mean of the lengths, at least 1."""
    return float(max(1.0, lengths.mean())) if len(lengths) else 1.0


def ridge(lists: Lists, table: DoubleArray, targets: DoubleArray, penalties: DoubleArray) -> DoubleArray:
    """For each list the x that minimises sum w (t - x'row)^2 + sum penalty x^2; 0 for an empty list: [B, D].

    Args:
        lists: the rows of each list.
        table: all rows, [n, D].
        targets: t, [N].
        penalties: above 0, [B, D].
    """
    found = np.empty_like(penalties)
    width = table.shape[1]
    diagonal = np.arange(width)
    step = max(1, CELLS // width**2)
    for start in range(0, len(found), step):
        stop = min(start + step, len(found))
        left, right = np.empty((stop - start, width, width)), np.empty((stop - start, width))
        for place in range(start, stop):
            cells = slice(lists.indptr[place], lists.indptr[place + 1])
            rows = table[lists.index[cells]]
            weighted = rows.T * lists.weights[cells]
            left[place - start] = weighted @ rows
            right[place - start] = weighted @ targets[cells]
        left[:, diagonal, diagonal] += penalties[start:stop]
        found[start:stop] = np.linalg.solve(left, right[..., None])[..., 0]
    return found
