"""Generated logs with known answers, numbered and ready for a model; `demo.demo_log` writes one as files.

Every function is deterministic in its seed and says in its docstring which figures are right. In each fold, user u has
the training row u, one held-out request u, and the identifiers "u0", "u1", … and "i0", "i1", ….
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from recsmith.contracts.data import Column, Fold, Histories, Holdout, Interactions, Requests
from recsmith.testing.demo import demo_log

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from recsmith.contracts.data import FloatArray, LongArray

__all__ = [
    "cycle_fold",
    "demo_log",
    "domains_fold",
    "fold_of",
    "groups_fold",
    "histories_of",
    "holdout_of",
    "popular_fold",
    "ratings_fold",
]

FIRST_MOMENT = 1_600_000_000  # Unix seconds
DAY = 86_400


def histories_of(lists: Sequence[npt.ArrayLike], values: Sequence[npt.ArrayLike] | None = None) -> Histories:
    """Histories of B item lists, oldest first, one day between two interactions of a user."""
    rows = [np.asarray(row, np.int32) for row in lists]
    lengths = np.array([len(row) for row in rows], np.int64)
    indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    place = np.arange(indptr[-1]) - np.repeat(indptr[:-1], lengths)
    return Histories(
        indptr,
        np.concatenate([*rows, np.zeros(0, np.int32)]),
        timestamp=FIRST_MOMENT + DAY * place,
        value=None if values is None else _flat(values),
    )


def _flat(values: Sequence[npt.ArrayLike]) -> FloatArray:
    return np.concatenate([*(np.asarray(row, np.float32) for row in values), np.zeros(0, np.float32)])


def holdout_of(
    requests: Requests, targets: Sequence[npt.ArrayLike], values: Sequence[npt.ArrayLike] | None = None
) -> Holdout:
    """What followed each of B requests: one list of target items each, with their ratings where `values` are given."""
    rows = [np.asarray(row, np.int32) for row in targets]
    indptr = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
    items = np.concatenate([*rows, np.zeros(0, np.int32)])
    return Holdout(requests, indptr, items, None if values is None else _flat(values))


def fold_of(
    train: Histories,
    targets: Sequence[npt.ArrayLike],
    *,
    items: int,
    target_values: Sequence[npt.ArrayLike] | None = None,
    columns: tuple[Column, ...] = (),
) -> Fold:
    """A fold that trains on `train` and judges each of its users on `targets`."""
    users = len(train)
    requests = Requests(np.arange(users, dtype=np.int32), train, histories_are_training=True)
    offered = {"timestamps", "order", "small_catalogue"}
    offered |= {"item_features"} if columns else set()
    offered |= {"values"} if train.value is not None else set()
    return Fold(
        train=Interactions(train, users=users, items=items, ordered=True),
        holdout=holdout_of(requests, targets, target_values),
        user_ids=np.array([f"u{user}" for user in range(users)], dtype=object),
        item_ids=np.array([f"i{item}" for item in range(items)], dtype=object),
        items=columns,
        split_hash="0" * 64,
        capabilities=frozenset(offered),
    )


def cycle_fold(users: int = 60, items: int = 30, length: int = 12, seed: int = 0) -> Fold:
    """Everyone walks the same circle of items: the next item is always the last one + 1 (modulo `items`).

    Known answer: ranking "last item + 1" first gives NDCG@10 = 1 for every user. With `length` < `items` the target is
    never a seen item. Item counts are even but for the random starts, so popularity stays near a random ranking.
    """
    starts = np.random.default_rng(seed).integers(items, size=users)
    walks = (starts[:, None] + np.arange(length + 1)) % items
    return fold_of(histories_of(list(walks[:, :-1])), list(walks[:, -1:]), items=items)


def groups_fold(users: int = 80, items: int = 60, groups: int = 4, length: int = 8, seed: int = 0) -> Fold:
    """User u likes the items of group u % groups (item i is of group i % groups), in no order, each once.

    Known answer: with n = items / groups - length unseen items left in a user's group, knowing the group gives
    HR@10 = min(10, n) / n, so 1 at the defaults (n = 7); the expected NDCG@10 is then the mean of 1 / log2(r + 1)
    over r = 1..n. Popularity cannot tell groups apart: HR@10 near 10 / (items - length). The item column "category"
    (category) and "title" (text) name the group outright.
    """
    generator = np.random.default_rng(seed)
    of_group = [np.arange(group, items, groups) for group in range(groups)]
    chosen = [generator.permutation(of_group[user % groups])[: length + 1] for user in range(users)]
    category = np.array([f"group {item % groups}" for item in range(items)], dtype=object)
    title = np.array([f"thing{item} of kind{item % groups}" for item in range(items)], dtype=object)
    columns = (Column("category", "category", category), Column("title", "text", title))
    lists, targets = [row[:-1] for row in chosen], [row[-1:] for row in chosen]
    return fold_of(histories_of(lists), targets, items=items, columns=columns)


def ratings_fold(users: int = 200, items: int = 50, per_user: int = 20, noise: float = 0.3, seed: int = 0) -> Fold:
    """Ratings 3.5 + user offset + item offset + normal noise; offsets are normal with deviations 0.5 and 0.7.

    The last 3 of each user's `per_user` + 3 rated items are the targets. Known answer: knowing the offsets gives
    MAE = noise * sqrt(2 / pi) and RMSE = noise (0.239 and 0.3 at the defaults), and nothing does better; the global
    mean alone gives MAE = sqrt(0.25 + 0.49 + noise^2) * sqrt(2 / pi) (0.727), random offsets apart.
    """
    generator = np.random.default_rng(seed)
    user_offset, item_offset = generator.normal(0, 0.5, users), generator.normal(0, 0.7, items)
    rated = np.stack([generator.permutation(items)[: per_user + 3] for _ in range(users)])
    error = generator.normal(0, noise, rated.shape)
    value = (3.5 + user_offset[:, None] + item_offset[rated] + error).astype(np.float32)
    train = histories_of(list(rated[:, :-3]), list(value[:, :-3]))
    return fold_of(train, list(rated[:, -3:]), items=items, target_values=list(value[:, -3:]))


def popular_fold(users: int = 400, items: int = 100, length: int = 10, seed: int = 0) -> Fold:
    """Everyone draws from the same Zipf popularity, p(i) proportional to 1 / (i + 1), each item once.

    Known answer: items differ in nothing but popularity, so ranking the unseen ones by number (item 0 first) is the
    best that can be done, and ranking by training counts comes within sampling noise of it.
    """
    generator = np.random.default_rng(seed)
    popularity = 1.0 / np.arange(1, items + 1)
    # The `length + 1` largest of log p + Gumbel noise are a draw without replacement, in the order of drawing.
    keys = np.log(popularity) + generator.gumbel(size=(users, items))
    drawn: LongArray = np.argsort(-keys, axis=1)[:, : length + 1].astype(np.int64)
    return fold_of(histories_of(list(drawn[:, :-1])), list(drawn[:, -1:]), items=items)


def domains_fold(users: int = 160, items: int = 40, seed: int = 0) -> Fold:
    """Items of two domains, the first half outside and the second half inside the target domain, in four groups each.

    Item i is of group i % 4. User u likes group u % 4 outside and group (u + 1) % 4 inside: all users have the five
    items of the one, half of them (u % 8 < 4) three of the other, and all are asked for the other two. Of those who are
    new inside, NDCG@5 is .7 and more for a model that carries over what is liked, below .25 for popularity.
    """
    rng = np.random.default_rng(seed)
    half = items // 2
    groups = [np.arange(group, half, 4) for group in range(4)]
    lists, targets = [], []
    for user in range(users):
        elsewhere = rng.permutation(groups[user % 4])
        inside = half + rng.permutation(groups[(user + 1) % 4])
        known = inside[2:] if user % 8 < 4 else inside[:0]  # noqa: PLR2004 - four users in a row, one of each group
        lists.append(np.concatenate([elsewhere, known]))
        targets.append(inside[:2])
    fold = fold_of(histories_of(lists), targets, items=items)
    inside_domain = np.arange(items) >= half
    return replace(fold, candidates=inside_domain, capabilities=fold.capabilities | {"domains", "target_domain"})
