"""Cascade: the first member's list, filled up from the second where it ends, then from the third, and so on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from recsmith.contracts.data import ABSENT
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import CombinerSpec

if TYPE_CHECKING:
    from recsmith.contracts.config import Config
    from recsmith.contracts.data import BoolArray, FloatArray, IntArray
    from recsmith.contracts.plugins import BuildContext


class Cascade:
    """The fallback for users and items that a member cannot serve: every member answers where those before it end.

    An item stands where the first member that holds it puts it. Its score is that member's own, as long as scores
    descend. Where a member's items would score as high as those before them or higher, all of that member's are lowered
    by one amount: its best then scores the next smaller float32 below the list so far, and its others keep their
    distances to its best, as far as float32 can tell them apart.

    So the first list with any item keeps its scores, and a request that the first member cannot serve gets the second's
    list as it is. Neither items nor scores depend on k: a longer list begins with the shorter one. The order of the
    members is the only setting, and the artifact holds it.
    """

    def combine(self, items: list[IntArray], scores: list[FloatArray], k: int) -> tuple[IntArray, FloatArray]:
        """Chain M lists [B, K_m] to items [B, k] and scores [B, k]; ABSENT and -inf where all of them end."""
        every = np.concatenate(items, axis=1)  # [B, C]
        added = _first_occurrences(every)
        ends = np.cumsum([ranked.shape[1] for ranked in items])[:-1]
        chained = np.where(added, _descending(scores, np.split(added, ends, axis=1)), np.float32(-np.inf))
        places = np.argsort(~added, axis=1, kind="stable")[:, :k]
        missing = ((0, 0), (0, k - places.shape[1]))
        named = np.take_along_axis(np.where(added, every, ABSENT), places, 1).astype(np.int32)
        kept = np.take_along_axis(chained, places, 1)
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
    """Scores [B, C] of the members' lists one after another, lowered where those `added` would not descend."""
    floor = np.full((len(scores[0]), 1), np.inf, np.float32)  # the lowest score so far
    chained = []
    for values, new in zip(scores, added, strict=True):
        own = np.where(new, values, np.float32(0.0))
        top = own.max(axis=1, keepdims=True, where=new, initial=-np.inf)
        ceiling = np.nextafter(floor, np.float32(-np.inf))
        lowered = np.where(top > ceiling, ceiling + (own - top), own)
        floor = np.minimum(floor, lowered.min(axis=1, keepdims=True, where=new, initial=np.inf))
        chained.append(lowered)
    return np.concatenate(chained, axis=1)


def _build(_config: Config, _context: BuildContext) -> Cascade:
    return Cascade()


@hookimpl
def provide_combiners() -> list[CombinerSpec]:
    """Offer the combiner."""
    return [CombinerSpec(name="cascade", api_version=1, build=_build, source="none: lists one after another")]
