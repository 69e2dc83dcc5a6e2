"""Numbered data: what plugins compute on. Users and items are dense numbers from 0; arrays are numpy.

Everything here is read-only by agreement: plugins never write into an array that they were given.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
from scipy import sparse

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

FloatArray = npt.NDArray[np.float32]
DoubleArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int32]
LongArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
FeatureMatrix = FloatArray | sparse.csr_array  # one row per item or user, float32

COUNTED_AT_ONCE = 1 << 20  # interactions
LOG = "log."  # begins the name of a column of the interactions, among those of items or users
ABSENT = -1  # the number of a user or an item that training has not seen; pads ranked lists too

MEDIA = ("image", "audio")  # roles whose values are files

Role = Literal["id", "category", "categories", "number", "time", "text", "image", "audio", "vector"]


@dataclass(frozen=True, eq=False)
class Column:
    """One column of an item or user table, aligned with the numbers of that table.

    `values` by role: id, category, text: str or None; categories: tuple of str or None; number, time (Unix
    seconds): float64 with NaN where missing; image, audio: absolute path as str or None; vector: float32 [R, D].
    """

    name: str
    role: Role
    values: npt.NDArray[Any]  # [R] of object or float64, or [R, D] float32

    def take(self, rows: LongArray) -> Column:
        """The same column at `rows` only."""
        return replace(self, values=self.values[rows])


def roles_by_table(
    items: tuple[Column, ...], users: tuple[Column, ...], log: tuple[Column, ...]
) -> dict[str, dict[str, Role]]:
    """The role of every column that can be encoded, by table; those of the log, named with `LOG`, stand in both."""
    shared = {f"{LOG}{column.name}": column.role for column in log}
    own = {"items": items, "users": users}
    return {table: {column.name: column.role for column in columns} | shared for table, columns in own.items()}


@dataclass(frozen=True, eq=False)
class Histories:
    """Ordered item lists of B users, stored one after the other.

    List b is `item_num[indptr[b]:indptr[b + 1]]`, oldest first. `timestamp`, `value` and `weight`, where present,
    are aligned with `item_num`.
    """

    indptr: LongArray  # [B + 1]
    item_num: IntArray  # [N]
    timestamp: LongArray | None = None  # [N] Unix seconds
    value: FloatArray | None = None  # [N] rating, in the log's own unit
    weight: FloatArray | None = None  # [N] positive strength of the event, 1 where the log states none

    def __len__(self) -> int:
        return len(self.indptr) - 1

    @property
    def lengths(self) -> LongArray:
        """Interactions per list, [B]."""
        return np.diff(self.indptr)

    @property
    def rows(self) -> LongArray:
        """The list number of every interaction, [N]."""
        return np.repeat(np.arange(len(self), dtype=np.int64), self.lengths)

    def of(self, row: int) -> IntArray:
        """The items of list `row`, oldest first."""
        return self.item_num[self.indptr[row] : self.indptr[row + 1]]

    def take(self, rows: LongArray) -> Histories:
        """The lists `rows`, in that order."""
        rows = np.asarray(rows, dtype=np.int64)
        lengths = self.lengths[rows]
        indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        return self._at(indptr, np.arange(indptr[-1]) - np.repeat(indptr[:-1] - self.indptr[rows], lengths))

    def last(self, count: int) -> Histories:
        """Only the `count` most recent interactions of every list."""
        keep = np.minimum(self.lengths, count)
        indptr = np.concatenate([[0], np.cumsum(keep)]).astype(np.int64)
        return self._at(indptr, np.arange(indptr[-1]) + np.repeat(self.indptr[1:] - indptr[1:], keep))

    def first(self, count: int) -> Histories:
        """Only the `count` oldest interactions of every list."""
        keep = np.minimum(self.lengths, count)
        indptr = np.concatenate([[0], np.cumsum(keep)]).astype(np.int64)
        return self._at(indptr, np.arange(indptr[-1]) + np.repeat(self.indptr[:-1] - indptr[:-1], keep))

    def where(self, keep: BoolArray) -> Histories:
        """The same lists with only the interactions of `keep` [N]; a list may become empty."""
        before = np.concatenate([[0], np.cumsum(keep)]).astype(np.int64)
        return self._at(before[self.indptr], np.flatnonzero(keep))

    def _at(self, indptr: LongArray, index: LongArray) -> Histories:
        """The interactions `index` as lists bounded by `indptr`."""
        return Histories(
            indptr,
            self.item_num[index],
            None if self.timestamp is None else self.timestamp[index],
            None if self.value is None else self.value[index],
            None if self.weight is None else self.weight[index],
        )

    def matrix(self, items: int, *, weighted: bool = False) -> sparse.csr_array:
        """Lists x items as float32: 1 where the item occurs, or with `weighted` the sum of its weights."""
        weights = self.weight if weighted and self.weight is not None else None
        data = np.ones(len(self.item_num), np.float32) if weights is None else weights
        shape = (len(self), items)
        matrix = sparse.csr_array((data, self.item_num, self.indptr), shape=shape, copy=True)
        matrix.sum_duplicates()
        if not weighted:
            matrix.data[:] = 1.0
        return matrix


@dataclass(frozen=True, eq=False)
class Interactions:
    """The training rows: one ordered history per user, and the size of the catalogue.

    Users are 0..U-1 in `histories`' order. Order within a user is time, then row; without timestamps it is the
    row order and means nothing unless `ordered`. Repeated interactions are kept as they are.
    """

    histories: Histories
    users: int  # U
    items: int  # I
    ordered: bool
    context: tuple[Column, ...] = ()  # columns of the interactions, [N] each

    @property
    def counts(self) -> LongArray:
        """Interactions per item, [I]."""
        counts = np.zeros(self.items, np.int64)
        items = self.histories.item_num
        for start in range(0, len(items), COUNTED_AT_ONCE):  # bincount makes an int64 copy of what it counts
            counts += np.bincount(items[start : start + COUNTED_AT_ONCE], minlength=self.items)
        return counts

    @property
    def last_timestamp(self) -> int | None:
        """The newest moment in the rows, Unix seconds; None without timestamps."""
        stamps = self.histories.timestamp
        return None if stamps is None or not len(stamps) else int(stamps.max())


@dataclass(frozen=True, eq=False)
class Requests:
    """B users who ask for recommendations: who they are (where known) and what they did, oldest first."""

    user_num: IntArray  # [B], ABSENT for a user that training has not seen
    histories: Histories  # of B lists; items outside the catalogue are already left out
    histories_are_training: bool = False  # the lists equal the training rows of these users

    def __len__(self) -> int:
        return len(self.user_num)

    def take(self, rows: LongArray) -> Requests:
        """The requests `rows`, in that order."""
        return replace(self, user_num=self.user_num[rows], histories=self.histories.take(rows))

    def chunks(self, size: int) -> Iterator[Requests]:
        """The same requests in pieces of at most `size`."""
        for start in range(0, len(self), size):
            yield self.take(np.arange(start, min(start + size, len(self)), dtype=np.int64))


@dataclass(frozen=True, eq=False)
class Holdout:
    """What a split keeps back: B requests and the interactions that really followed.

    Targets of request b are `target_item[target_indptr[b]:target_indptr[b + 1]]`; ABSENT marks a target outside
    the training catalogue, which counts as a miss.
    """

    requests: Requests
    target_indptr: LongArray  # [B + 1]
    target_item: IntArray  # [M]
    target_value: FloatArray | None = None  # [M], for ratings

    def __len__(self) -> int:
        return len(self.requests)


@dataclass(frozen=True, eq=False)
class LogColumns:
    """The bare log that a splitter sees: N interactions, sorted stably by time where there is one."""

    user: LongArray  # [N] codes from 0
    item: LongArray  # [N] codes from 0
    timestamp: LongArray | None  # [N] Unix seconds
    value: DoubleArray | None  # [N]
    ordered: bool  # the row order means something (timestamps, or the plan says `order: rows`)
    split: npt.NDArray[np.int8] | None = None  # [N] what the column `split` says: TRAIN, VALID, TEST, UNUSED
    domain: npt.NDArray[Any] | None = None  # [N] of str: the domain of the item, "" for one that has none

    @property
    def user_counts(self) -> LongArray:
        """Interactions per user, [U]."""
        return np.bincount(self.user).astype(np.int64)

    def take(self, rows: LongArray | BoolArray) -> LogColumns:
        """These interactions alone; codes stay as they are."""
        return replace(
            self,
            user=self.user[rows],
            item=self.item[rows],
            timestamp=None if self.timestamp is None else self.timestamp[rows],
            value=None if self.value is None else self.value[rows],
            split=None if self.split is None else self.split[rows],
            domain=None if self.domain is None else self.domain[rows],
        )

    def places(self, seed: int | None = None) -> LongArray:
        """The place of each interaction among those of its user, [N] from 0: in log order, or shuffled by `seed`."""
        size = len(self.user)
        if seed is None:
            order = np.argsort(self.user, kind="stable")
        else:
            order = np.random.default_rng(seed).permutation(size)
            order = order[np.argsort(self.user[order], kind="stable")]
        counts = self.user_counts
        places = np.empty(size, np.int64)
        places[order] = np.arange(size) - np.repeat(np.cumsum(counts) - counts, counts)
        return places


# What a splitter assigns to each interaction.
TRAIN, VALID, TEST = 0, 1, 2
VALID_SUPPORT, TEST_SUPPORT = 3, 4  # known before the request, but never trained on
UNUSED = 5


@dataclass(frozen=True, eq=False)
class State:
    """A fitted plugin as plain data: JSON values and named arrays. Never code, never a pickle."""

    values: Mapping[str, Any] = field(default_factory=dict)
    arrays: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class RankedLists:
    """B top-K lists with the facts that metrics need. Column j holds rank j + 1.

    `items` pads with ABSENT where fewer than K candidates exist. `relevant` counts all targets of the request, also
    those outside the catalogue.
    """

    items: IntArray  # [B, K]
    hits: BoolArray  # [B, K]
    relevant: LongArray  # [B]
    catalogue: CatalogueFacts

    def take(self, rows: LongArray) -> RankedLists:
        """The lists `rows`, in that order, repeats allowed."""
        return RankedLists(self.items[rows], self.hits[rows], self.relevant[rows], self.catalogue)


@dataclass(frozen=True, eq=False)
class CatalogueFacts:
    """What training knew of the items that lists are judged on."""

    items: int  # I
    users: int  # U
    counts: LongArray  # [I] interactions per item in training
    similarity: FeatureMatrix | None = None  # [I, F], rows of unit length: cosine of two rows is their product


@dataclass(frozen=True, eq=False)
class RatedPairs:
    """Predicted and actual ratings, M pairs of B requests; pairs of request b are `indptr[b]:indptr[b + 1]`."""

    indptr: LongArray  # [B + 1]
    predicted: DoubleArray  # [M]
    actual: DoubleArray  # [M]


@dataclass(frozen=True, eq=False)
class Fold:
    """One numbered view of the log: rows to train on, and requests to be judged on.

    A split gives two: train -> valid for the search, train + valid -> test for the refit (sealed until then). User
    and item numbers are those of this fold: the catalogue is what its training rows hold, and in the item-cold
    scenarios also the items that only the item table knows.
    """

    train: Interactions
    holdout: Holdout
    user_ids: npt.NDArray[Any]  # [U] of str: outside identifier of every user number
    item_ids: npt.NDArray[Any]  # [I] of str
    items: tuple[Column, ...] = ()  # columns of the item table, [I] each
    users: tuple[Column, ...] = ()  # columns of the user table, [U] each
    candidates: BoolArray | None = None  # [I] which may be recommended, where not all: those of the target domain
    split_hash: str = ""  # sha256 over the assignment of every interaction; equal on every machine
    capabilities: frozenset[str] = frozenset()  # what the log offers: see Spec.needs

    @property
    def columns(self) -> dict[str, dict[str, Role]]:
        """The role of every column that can be encoded, by table."""
        return roles_by_table(self.items, self.users, self.train.context)
