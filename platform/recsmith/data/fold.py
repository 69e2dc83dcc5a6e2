"""From a coded log and what each row is for to one numbered `Fold`, in a few passes over the arrays.

Users are numbered 0..U-1 in the order of their outside ids, over the users that have training rows; items 0..I-1
likewise, over the items of the training rows (and, where asked, of the item table). So numbers follow from the fold's
own training rows alone. Where two scores are equal the smaller item number ranks first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from recsmith.contracts.data import ABSENT, Fold, Histories, Holdout, Interactions, Requests

if TYPE_CHECKING:
    from recsmith.contracts.data import BoolArray, IntArray, LongArray
    from recsmith.data.coded import Dataset

SMALL_CATALOGUE = 50_000  # items


def numbered(
    dataset: Dataset,
    train: BoolArray,
    target: BoolArray | None = None,
    support: BoolArray | None = None,
    *,
    with_table: bool = False,
    without: BoolArray | None = None,
    domain: str | None = None,
    split_hash: str = "",
) -> Fold:
    """Number one view of the log.

    Args:
        dataset: the coded log; it may be made from arrays.
        train: the interactions to learn from, [N].
        target: those to be predicted, [N]; None holds out nothing.
        support: those known before the request but not learnt from, [N].
        with_table: the catalogue also holds the items of the item table.
        without: but not these of them, [items].
        domain: the items of this domain are the candidates; None: all.
        split_hash: recorded in the fold.
    """
    rows = np.flatnonzero(train)
    in_catalogue = np.zeros(len(dataset.item_ids), bool)
    in_catalogue[dataset.item[rows]] = True
    if with_table and dataset.in_table is not None:
        in_catalogue |= dataset.in_table if without is None else dataset.in_table & ~without
    known = np.zeros(len(dataset.user_ids), bool)
    known[dataset.user[rows]] = True
    item_num, user_num = _numbers(in_catalogue), _numbers(known)
    items, users = np.flatnonzero(in_catalogue), np.flatnonzero(known)

    owner = user_num[dataset.user[rows]]
    rows = rows[np.argsort(owner, kind="stable")]
    histories = _lists(dataset, rows, user_num, len(users), item_num)
    context = tuple(column.take(rows) for column in dataset.context)
    holdout = _holdout(dataset, train, target, support, user_num, item_num, histories)
    small = {"small_catalogue"} if len(items) <= SMALL_CATALOGUE else set()
    offered = {"cold_users"} if (holdout.requests.user_num == ABSENT).any() else set()
    candidates = None
    if domain is not None and dataset.domain is not None:
        candidates = dataset.domain[items] == domain
        offered |= {"target_domain"}
    fold = Fold(
        train=Interactions(histories, len(users), len(items), dataset.ordered, context),
        holdout=holdout,
        user_ids=dataset.user_ids[users],
        item_ids=dataset.item_ids[items],
        items=tuple(column.take(items) for column in dataset.items),
        users=tuple(column.take(users) for column in dataset.users),
        candidates=candidates,
        split_hash=split_hash,
        capabilities=dataset.capabilities | small | offered,
    )
    _protect(fold)
    return fold


def _protect(part: Any) -> None:
    """Make every array read-only: trials in one process share a fold, and none may write into it."""
    if isinstance(part, np.ndarray):
        part.flags.writeable = False
    elif is_dataclass(part):
        for field in fields(part):
            _protect(getattr(part, field.name))
    elif isinstance(part, (tuple, Mapping)):
        for value in part.values() if isinstance(part, Mapping) else part:
            _protect(value)


def judged_users(dataset: Dataset, train: BoolArray, target: BoolArray, support: BoolArray | None) -> LongArray:
    """Codes of the users who have something to predict and a history to predict it from, in order."""
    has_history = np.zeros(len(dataset.user_ids), bool)
    has_history[dataset.user[train if support is None else train | support]] = True
    has_target = np.zeros(len(dataset.user_ids), bool)
    has_target[dataset.user[target]] = True
    return np.flatnonzero(has_history & has_target)


def _numbers(present: BoolArray) -> IntArray:
    """Dense numbers of the codes that are present, ABSENT for the others."""
    return np.where(present, np.cumsum(present) - 1, ABSENT).astype(np.int32)


def _lists(dataset: Dataset, rows: LongArray, owner: IntArray, size: int, item_num: IntArray) -> Histories:
    """Lists of `size` owners from rows that are already grouped by owner."""
    counts = np.bincount(owner[dataset.user[rows]], minlength=size)
    return Histories(
        indptr=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        item_num=item_num[dataset.item[rows]],
        timestamp=None if dataset.timestamp is None else dataset.timestamp[rows],
        value=None if dataset.value is None else dataset.value[rows].astype(np.float32),
        weight=None if dataset.weight is None else dataset.weight[rows],
    )


def _holdout(
    dataset: Dataset,
    train: BoolArray,
    target: BoolArray | None,
    support: BoolArray | None,
    user_num: IntArray,
    item_num: IntArray,
    histories: Histories,
) -> Holdout:
    if target is None:
        nobody = Requests(np.zeros(0, np.int32), histories.take(np.zeros(0, np.int64)), histories_are_training=True)
        return Holdout(nobody, np.zeros(1, np.int64), np.zeros(0, np.int32))
    judged = judged_users(dataset, train, target, support)
    request = np.full(len(dataset.user_ids), ABSENT, np.int32)
    request[judged] = np.arange(len(judged))
    known = user_num[judged]
    if support is None:
        requests = Requests(known, histories.take(known.astype(np.int64)), histories_are_training=True)
    else:
        seen = _grouped(dataset, (train | support) & (item_num[dataset.item] != ABSENT), request)
        requests = Requests(known, _lists(dataset, seen, request, len(judged), item_num))
    rows = _grouped(dataset, target, request)
    targets = _lists(dataset, rows, request, len(judged), item_num)
    return Holdout(requests, targets.indptr, targets.item_num, targets.value)


def _grouped(dataset: Dataset, chosen: BoolArray, owner: IntArray) -> LongArray:
    """The chosen rows that have an owner, grouped by owner, in log order within each."""
    rows = np.flatnonzero(chosen & (owner[dataset.user] != ABSENT))
    return rows[np.argsort(owner[dataset.user[rows]], kind="stable")]
