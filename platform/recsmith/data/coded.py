"""The log as read, checked, coded and sorted: everything that a split starts from.

Codes follow the outside ids in order of their code points, so they depend on neither hashes nor row order. pandas is
only imported to load; a `Dataset` holds numpy arrays and can be made from arrays directly.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from recsmith.contracts.data import LogColumns

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from recsmith.contracts.data import BoolArray, Column, DoubleArray, FloatArray, IntArray, LongArray
    from recsmith.data.values import ObjectArray


@dataclass(frozen=True, eq=False)
class Dataset:
    """N interactions sorted by time, then row, with the tables of items and users.

    `user_ids` and `item_ids` are sorted and hold all ids of log and tables; the columns of `items` and `users` are
    aligned with them. `in_table` marks the items that the item table knows.
    """

    user: IntArray  # [N] codes into user_ids
    item: IntArray  # [N] codes into item_ids
    user_ids: ObjectArray  # [U] of str
    item_ids: ObjectArray  # [I] of str
    ordered: bool
    timestamp: LongArray | None = None  # [N] Unix seconds
    value: DoubleArray | None = None  # [N]
    weight: FloatArray | None = None  # [N]
    split: npt.NDArray[np.int8] | None = None  # [N] TRAIN, VALID, TEST or UNUSED, where the log carries labels
    split_fault: str = ""  # why the labels that the log carries cannot be used; for whoever asks for them
    context: tuple[Column, ...] = ()  # [N] each
    items: tuple[Column, ...] = ()  # [I] each
    users: tuple[Column, ...] = ()  # [U] each
    in_table: BoolArray | None = None  # [I]
    domain: ObjectArray | None = None  # [I] of str: the domain of each item, "" for one that has none
    source: str = ""
    reader: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)  # role -> name of the column in use
    left_aside: Mapping[str, str] = field(default_factory=dict)  # unused column of the log -> the role it would have
    notes: tuple[str, ...] = ()  # sentences: what was guessed, what is unusual
    fingerprint: str = ""  # sha256 of the content read, before the filter

    def __len__(self) -> int:
        return len(self.user)

    @property
    def log(self) -> LogColumns:
        """What a splitter sees."""
        return LogColumns(
            user=self.user.astype(np.int64),
            item=self.item.astype(np.int64),
            timestamp=self.timestamp,
            value=self.value,
            ordered=self.ordered,
            split=self.split,
            domain=None if self.domain is None else self.domain[self.item],
        )

    @property
    def capabilities(self) -> frozenset[str]:
        """What the log offers to plugins, the size of the catalogue aside."""
        offers = {
            "timestamps": self.timestamp is not None,
            "order": self.ordered,
            "values": self.value is not None,
            "split": self.split is not None,
            "item_features": any(column.role != "id" for column in self.items),
            "domains": self.domain is not None,
            "user_features": any(column.role != "id" for column in self.users),
        }
        return frozenset(name for name, there in offers.items() if there)

    def take(self, rows: LongArray | BoolArray) -> Dataset:
        """The same log with only the interactions `rows`, ids and tables unchanged."""
        return replace(
            self,
            user=self.user[rows],
            item=self.item[rows],
            timestamp=None if self.timestamp is None else self.timestamp[rows],
            value=None if self.value is None else self.value[rows],
            weight=None if self.weight is None else self.weight[rows],
            split=None if self.split is None else self.split[rows],
            context=tuple(replace(column, values=column.values[rows]) for column in self.context),
        )

    def repeat_share(self) -> float:
        """How often an interaction to be predicted is an item that the user already had.

        With an order: the share of users of three or more interactions whose last one is a repeat. Without: the share
        of interactions whose user and item occur together more than once.
        """
        pair = self.user.astype(np.int64) * max(len(self.item_ids), 1) + self.item
        _, inverse, counts = np.unique(pair, return_inverse=True, return_counts=True)
        if not len(pair):
            return 0.0
        if not self.ordered:
            return float((counts[inverse] > 1).mean())
        by_user = np.argsort(self.user, kind="stable")
        last = by_user[np.flatnonzero(np.append(np.diff(self.user[by_user]) != 0, True))]
        judged = np.bincount(self.user)[self.user[last]] >= 3  # noqa: PLR2004 - the fewest of a judged user
        return float((counts[inverse[last]] > 1)[judged].mean()) if judged.any() else 0.0


def fingerprint(dataset: Dataset) -> str:
    """sha256 over ids, interactions and tables."""
    digest = hashlib.sha256()
    for ids in (dataset.user_ids, dataset.item_ids):
        digest.update(json.dumps(ids.tolist()).encode())
    for array in (dataset.user, dataset.item, dataset.timestamp, dataset.value, dataset.weight):
        digest.update(b"absent" if array is None else np.ascontiguousarray(array).tobytes())
    if dataset.domain is not None:
        digest.update(json.dumps(dataset.domain.tolist()).encode())
    for column in (*dataset.items, *dataset.users, *dataset.context):
        digest.update(f"{column.name}\0{column.role}".encode())
        digest.update(content(column))
    return digest.hexdigest()


def content(column: Column) -> bytes:
    """The values of a column as bytes, for hashing."""
    if column.values.dtype == object:
        return json.dumps(column.values.tolist()).encode()
    return np.ascontiguousarray(column.values).tobytes()


def spread(column: Column, rows: LongArray, size: int) -> npt.NDArray[Any]:
    """The values of a column at `rows` of `size`, missing everywhere else: None, NaN, or a vector of zeros."""
    shape = (size, *column.values.shape[1:])
    blank: object = None if column.values.dtype == object else 0.0 if column.role == "vector" else np.nan
    values = np.full(shape, blank, column.values.dtype)
    values[rows] = column.values
    return values
