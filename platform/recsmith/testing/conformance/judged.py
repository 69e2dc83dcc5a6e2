"""Ranked lists and rated pairs to be judged by a metric, each made anew for every use."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from recsmith.contracts.data import ABSENT, CatalogueFacts, LongArray, RankedLists, RatedPairs
from recsmith.evaluation.lists import cut

LISTS, WIDTH, ITEMS = 10, 6, 30
PAIRS = (3, 1, 4, 2, 5, 1, 2, 3, 1, 2)  # of each request
LARGEST_COUNT = 9  # interactions of an item

Judged = RankedLists | RatedPairs


def ranked(*, width: int = WIDTH, similar: bool = False) -> RankedLists:
    """Full lists; each has one to three hits, and one or two relevant items that it misses.

    With `similar` the catalogue tells how alike items are. The arrays are views, as those that a cut-off leaves.
    """
    generator = np.random.default_rng(0)
    items = np.stack([generator.permutation(ITEMS)[: WIDTH + 2] for _ in range(LISTS)]).astype(np.int32)
    hits = np.zeros(items.shape, np.bool_)
    for row in range(LISTS):
        hits[row, generator.permutation(WIDTH)[: 1 + row % 3]] = True
    relevant = hits.sum(axis=1) + 1 + np.arange(LISTS) % 2
    vectors = generator.normal(size=(ITEMS, 4)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    counts = generator.integers(1, LARGEST_COUNT, ITEMS).astype(np.int64)
    facts = CatalogueFacts(ITEMS, users=50, counts=counts, similarity=vectors if similar else None)
    return cut(RankedLists(items, hits, relevant.astype(np.int64), facts), width)


def short(*, similar: bool) -> RankedLists:
    """List b has b items, as far as there is room: the first one none."""
    lists = ranked(similar=similar)
    beyond = np.arange(WIDTH) >= np.arange(LISTS)[:, None]
    return replace(lists, items=np.where(beyond, np.int32(ABSENT), lists.items), hits=lists.hits & ~beyond)


def empty(*, similar: bool) -> RankedLists:
    """Lists without any item."""
    lists = ranked(similar=similar)
    return replace(lists, items=np.full_like(lists.items, ABSENT), hits=np.zeros_like(lists.hits))


def of_unknown_items(*, similar: bool) -> RankedLists:
    """Every second item has no interaction in training; the first list holds such items only."""
    lists = ranked(similar=similar)
    counts = lists.catalogue.counts.copy()
    counts[::2] = 0
    items = lists.items.copy()
    items[0] = 2 * np.arange(WIDTH)
    return replace(lists, items=items, catalogue=replace(lists.catalogue, counts=counts))


def best(lists: RankedLists) -> RankedLists:
    """The same lists with all that is relevant at the top."""
    return replace(lists, hits=np.arange(lists.items.shape[1]) < lists.relevant[:, None])


def worst(lists: RankedLists, relevant: int | None = None) -> RankedLists:
    """The same lists with nothing relevant in them, and so many relevant items elsewhere."""
    counts = lists.relevant if relevant is None else np.full_like(lists.relevant, relevant)
    return replace(lists, hits=np.zeros(lists.items.shape, np.bool_), relevant=counts)


def pairs() -> RatedPairs:
    """Ratings from 1 to 5, and predictions with errors around 1."""
    generator = np.random.default_rng(0)
    actual = generator.integers(1, 6, sum(PAIRS)).astype(np.float64)
    indptr = np.concatenate([[0], np.cumsum(PAIRS)]).astype(np.int64)
    return RatedPairs(indptr, actual + generator.normal(size=len(actual)), actual)


def without_pairs() -> RatedPairs:
    """The first, one in the middle and the last request have no pair."""
    given = pairs()
    ends = given.indptr[1:].copy()
    ends[[0, 4, LISTS - 1]] = [0, given.indptr[4], given.indptr[LISTS - 1]]
    size = int(ends[-1])
    return RatedPairs(np.concatenate([[0], ends]), given.predicted[:size], given.actual[:size])


def perfect(given: RatedPairs) -> RatedPairs:
    """The same ratings, predicted exactly."""
    return replace(given, predicted=given.actual.copy())


def worse(given: RatedPairs, error: float) -> RatedPairs:
    """The same ratings, each predicted with this error."""
    return replace(given, predicted=given.actual + error)


def taken(given: Judged, rows: LongArray) -> Judged:
    """The requests `rows`, in that order."""
    if isinstance(given, RankedLists):
        return given.take(rows)
    counts = np.diff(given.indptr)[rows]
    indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    index = np.arange(indptr[-1]) - np.repeat(indptr[:-1] - given.indptr[rows], counts)
    return RatedPairs(indptr, given.predicted[index], given.actual[index])
