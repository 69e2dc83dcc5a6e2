"""Several ranked lists as one by turns: the first list, filled up from the second where it ends, and so on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from recsmith.contracts.data import ABSENT

if TYPE_CHECKING:
    from recsmith.contracts.data import BoolArray, FloatArray, IntArray


def chained(items: list[IntArray], scores: list[FloatArray], k: int) -> tuple[IntArray, FloatArray]:
    """Chain M lists [B, K_m] to items [B, k] and scores [B, k]; ABSENT and -inf where all of them end.

    An item stands where the first list that holds it puts it. Its score is that list's own, as long as scores descend.
    Where a list's items would score as high as those before them or higher, all of that list's are lowered by one
    amount: its best then scores the next smaller float32 below the list so far, and its others keep their distances to
    its best, as far as float32 can tell them apart.

    So the first list with any item keeps its scores. Neither items nor scores depend on k: a longer list begins with
    the shorter one.
    """
    every = np.concatenate(items, axis=1)  # [B, C]
    added = _first_occurrences(every)
    ends = np.cumsum([ranked.shape[1] for ranked in items])[:-1]
    lowered = np.where(added, _descending(scores, np.split(added, ends, axis=1)), np.float32(-np.inf))
    places = np.argsort(~added, axis=1, kind="stable")[:, :k]
    missing = ((0, 0), (0, k - places.shape[1]))
    named = np.take_along_axis(np.where(added, every, ABSENT), places, 1).astype(np.int32)
    kept = np.take_along_axis(lowered, places, 1)
    return np.pad(named, missing, constant_values=ABSENT), np.pad(kept, missing, constant_values=-np.inf)


def _first_occurrences(items: IntArray) -> BoolArray:
    """Where an item of a row [B, C] stands for the first time."""
    order = np.argsort(items, axis=1, kind="stable")
    ordered = np.take_along_axis(items, order, 1)
    opens: BoolArray = ordered != ABSENT
    opens[:, 1:] &= ordered[:, 1:] != ordered[:, :-1]
    first: BoolArray = np.empty(items.shape, np.bool_)
    np.put_along_axis(first, order, opens, 1)
    return first


def _descending(scores: list[FloatArray], added: list[BoolArray]) -> FloatArray:
    """Scores [B, C] of the lists one after another, lowered where those `added` would not descend."""
    floor = np.full((len(scores[0]), 1), np.inf, np.float32)  # the lowest score so far
    descending = []
    for values, new in zip(scores, added, strict=True):
        own = np.where(new, values, np.float32(0.0))
        top = own.max(axis=1, keepdims=True, where=new, initial=-np.inf)
        ceiling = np.nextafter(floor, np.float32(-np.inf))
        lowered = np.where(top > ceiling, ceiling + (own - top), own)
        floor = np.minimum(floor, lowered.min(axis=1, keepdims=True, where=new, initial=np.inf))
        descending.append(lowered)
    return np.concatenate(descending, axis=1)
