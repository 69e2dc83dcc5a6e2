"""All pairs of rows that are near one another, without comparing every row with every other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse
from sklearn.preprocessing import normalize

if TYPE_CHECKING:
    from collections.abc import Iterator

    from recsmith.contracts.data import BoolArray, DoubleArray, FloatArray, LongArray

AT_ONCE = 2_000_000  # candidates, or cells of a block
MOST_CANDIDATES = 200_000_000  # after which the search stops
MOST_PAIRS = 2_000_000
SLACK = 1e-6  # of rounding
BLOCK = 512  # rows


@dataclass(frozen=True, eq=False)
class Pairs:
    """P pairs of rows, `first` < `second`, with their cosine or distance; not `complete`: there are more."""

    first: LongArray  # [P]
    second: LongArray  # [P]
    value: DoubleArray  # [P]
    complete: bool = True


def near_texts(weights: sparse.csr_array, least: float) -> Pairs:
    """All pairs of rows (none of them zero) whose cosine is at least `least`.

    A row's words are put in one order, rare ones first. Its prefix ends where what is left has a length below `least`:
    two rows whose prefixes share no word share only words of what is left of one of them, and so have a lower cosine
    (Bayardo, Ma and Srikant 2007, doi:10.1145/1242572.1242591). So only rows that share a word of both prefixes are
    compared, and nothing is missed.
    """
    rows = sparse.csr_array(normalize(weights.astype(np.float64)))
    prefixes = _prefixes(rows, least)
    found, left, complete = [], MOST_CANDIDATES, True
    for start, stop in _blocks(prefixes):
        shared = sparse.coo_array(prefixes[start:stop] @ prefixes.T)
        first, second = shared.coords[0].astype(np.int64) + start, shared.coords[1].astype(np.int64)
        upper = first < second
        first, second = first[upper], second[upper]
        cosine = _cosines(rows, first, second)
        near = cosine >= least - SLACK
        found.append(Pairs(first[near], second[near], np.minimum(cosine[near], 1.0)))
        left -= len(first)
        if left < 0 or sum(len(pairs.first) for pairs in found) > MOST_PAIRS:
            complete = stop == rows.shape[0]
            break
    return _joined(found, complete)


def _prefixes(rows: sparse.csr_array, least: float) -> sparse.csr_array:
    """Ones where a word belongs to the prefix of its row, [R, words]."""
    frequency = np.bincount(rows.indices, minlength=rows.shape[1])
    rank = np.empty(rows.shape[1], np.int64)
    rank[np.argsort(frequency, kind="stable")] = np.arange(rows.shape[1])
    row_of = np.repeat(np.arange(rows.shape[0]), np.diff(rows.indptr))
    order = np.lexsort((-rank[rows.indices], row_of))  # frequent words first: then what is left is a running sum
    squares = rows.data[order] ** 2
    running = np.cumsum(squares)
    before = np.concatenate([[0.0], running])[rows.indptr[:-1]]
    tail = running - before[row_of]  # of the word and all more frequent ones
    inside = tail >= least**2 - SLACK
    ones = np.ones(int(inside.sum()))
    return sparse.csr_array((ones, (row_of[inside], rows.indices[order][inside])), shape=rows.shape)


def _blocks(prefixes: sparse.csr_array) -> Iterator[tuple[int, int]]:
    """Stretches of rows that have about AT_ONCE candidates each, one row at least."""
    frequency = np.bincount(prefixes.indices, minlength=prefixes.shape[1])
    work = np.concatenate([[0], np.cumsum(frequency[prefixes.indices])])[prefixes.indptr]  # [R + 1]
    start = 0
    while start < prefixes.shape[0]:
        stop = int(np.searchsorted(work, work[start] + AT_ONCE, side="right")) - 1
        stop = min(max(stop, start + 1), prefixes.shape[0])
        yield start, stop
        start = stop


def _cosines(rows: sparse.csr_array, first: LongArray, second: LongArray) -> DoubleArray:
    chunk = 100_000
    parts = [
        rows[first[start : start + chunk]].multiply(rows[second[start : start + chunk]]).sum(axis=1)
        for start in range(0, len(first), chunk)
    ]
    return np.concatenate([*(np.asarray(part).ravel() for part in parts), np.zeros(0)])


def near_rows(points: FloatArray | DoubleArray, radius: float) -> Pairs:
    """All pairs of rows of a dense matrix [R, F] whose Euclidean distance is at most `radius`.

    Along the direction of the largest variance no two rows are farther apart than they are: in that order each block is
    compared with what lies within the radius.
    """
    values = np.asarray(points, np.float64)
    if not len(values):
        return _joined([], complete=True)
    centred = values - values.mean(axis=0)
    direction = np.linalg.eigh(centred.T @ centred)[1][:, -1]
    place = centred @ direction
    order = np.argsort(place, kind="stable")
    centred, place = centred[order], place[order]
    lengths = (centred**2).sum(axis=1)
    found, complete = [], True
    for start in range(0, len(centred), BLOCK):
        stop = min(start + BLOCK, len(centred))
        end = int(np.searchsorted(place, place[stop - 1] + radius + SLACK, side="right"))
        for left in range(start, end, AT_ONCE // BLOCK):
            right = min(left + AT_ONCE // BLOCK, end)
            square = lengths[start:stop, None] + lengths[left:right] - 2 * centred[start:stop] @ centred[left:right].T
            near: BoolArray = square <= radius**2 + SLACK
            block, other = np.nonzero(near)
            upper = block + start < other + left
            one, two = order[block[upper] + start], order[other[upper] + left]
            distance = np.sqrt(((values[one] - values[two]) ** 2).sum(axis=1))
            close = distance <= radius
            found.append(Pairs(np.minimum(one, two)[close], np.maximum(one, two)[close], distance[close]))
        if sum(len(pairs.first) for pairs in found) > MOST_PAIRS:
            complete = stop == len(centred)
            break
    return _joined(found, complete)


def _joined(found: list[Pairs], complete: bool) -> Pairs:  # noqa: FBT001 - one of its fields
    nothing = np.zeros(0, np.int64)
    first, second = (np.concatenate([nothing, *(getattr(p, name) for p in found)]) for name in ("first", "second"))
    value = np.concatenate([np.zeros(0), *(pairs.value for pairs in found)])
    order = np.lexsort((second, first))
    return Pairs(first[order], second[order], value[order], complete)
