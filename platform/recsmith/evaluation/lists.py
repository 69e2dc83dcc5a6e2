"""Ranked lists with what metrics need to know of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

from recsmith.contracts.data import ABSENT, CatalogueFacts, RankedLists

if TYPE_CHECKING:
    from recsmith.contracts.data import BoolArray, Fold, Holdout, IntArray, Interactions, LongArray


def ranked_lists(items: IntArray, fold: Fold, *, similarity: bool) -> RankedLists:
    """Lists [B, K] of the holdout's requests with their hits; with `similarity` also the cosines between items.

    An item that is a target twice is one target; every target outside the catalogue is one of its own.
    """
    train = fold.train
    facts = CatalogueFacts(
        train.items, train.users, train.counts, similarity=item_vectors(train) if similarity else None
    )
    targets = _target_keys(fold.holdout, train.items)
    hits = _found(items, targets, train.items)
    known = np.bincount(targets // max(1, train.items), minlength=len(items))
    outside = np.bincount(target_rows(fold.holdout)[fold.holdout.target_item == ABSENT], minlength=len(items))
    return RankedLists(items, hits, (known + outside).astype(np.int64), facts)


def cut(lists: RankedLists, k: int) -> RankedLists:
    """The same lists, only their first `k` places."""
    return RankedLists(lists.items[:, :k], lists.hits[:, :k], lists.relevant, lists.catalogue)


def target_rows(holdout: Holdout) -> LongArray:
    """The request of every target, [M]."""
    return np.repeat(np.arange(len(holdout), dtype=np.int64), np.diff(holdout.target_indptr))


def item_vectors(train: Interactions) -> sparse.csr_array:
    """Who interacted with each item, [I, U] with rows of unit length: the cosine of two items is their product."""
    vectors = sparse.csr_array(train.histories.matrix(train.items).T.tocsr())
    lengths = np.sqrt(np.diff(vectors.indptr))  # the entries are ones
    vectors.data /= np.repeat(lengths, np.diff(vectors.indptr)).astype(np.float32)
    return vectors


def _target_keys(holdout: Holdout, items: int) -> LongArray:
    """Request * I + item of every distinct target inside the catalogue, ascending."""
    inside = holdout.target_item != ABSENT
    return np.unique(target_rows(holdout)[inside] * items + holdout.target_item[inside])


def _found(items: IntArray, targets: LongArray, catalogue: int) -> BoolArray:
    """Which places of the lists [B, K] hold a target."""
    if not len(targets):
        return np.zeros(items.shape, np.bool_)
    keys = np.arange(len(items), dtype=np.int64)[:, None] * catalogue + items
    near = targets[np.minimum(np.searchsorted(targets, keys), len(targets) - 1)]
    found: BoolArray = (near == keys) & (items != ABSENT)
    return found
