"""From training rows to batches: index arithmetic only, a new order every epoch, no loop over users."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
import torch

from recsmith.contracts.training import Batch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from recsmith.contracts.data import Interactions, LongArray

Kind = Literal["sequences", "pairs", "user_rows"]

POOL = 16  # batches among which windows of similar length are sought


@dataclass(frozen=True, eq=False)
class EpochBatches:
    """The batches of one epoch, made one at a time."""

    steps: int
    positives: int  # P over all batches
    batches: Iterator[Batch]


class Examples(Protocol):
    """Training examples of one kind."""

    def epoch(self, seed: int, number: int) -> EpochBatches:
        """The batches of epoch `number` (from 1); equal seeds and numbers give equal batches."""
        ...


def make_examples(
    kind: Kind, interactions: Interactions, *, batch_size: int, device: str, length: int | None = None
) -> Examples:
    """The examples of that kind on `device`, `batch_size` of them in a batch; `length` is the windows' T."""
    if kind == "sequences":
        if length is None:
            raise ValueError("sequences need the model's max_length")
        return Sequences(interactions, batch_size, length, device)
    kinds: dict[str, Callable[[Interactions, int, str], Examples]] = {"pairs": Pairs, "user_rows": UserRows}
    return kinds[kind](interactions, batch_size, device)


class Sequences:
    """Windows of at most T positions; over an epoch every interaction is predicted exactly once.

    The input at a position is the item before it, at the first of a history 0. Where a history is longer than T its
    windows are cut at a random offset, new in every epoch: no position is lost, and none always lacks its context.
    SASRec on ml-100k, T = 50, 18 epochs, validation NDCG@10: random cuts .087, fixed cuts .083, last T only .064.
    """

    def __init__(self, interactions: Interactions, batch_size: int, length: int, device: str) -> None:
        histories = interactions.histories
        self.batch_size = batch_size
        self.length = length
        self.device = device
        self.starts = histories.indptr[:-1]
        self.counts = histories.lengths
        before = np.roll(histories.item_num.astype(np.int64) + 1, 1)
        before[self.starts[self.counts > 0]] = 0
        self.inputs = torch.from_numpy(before).to(device)  # [N]
        self.targets = torch.from_numpy(histories.item_num.astype(np.int64)).to(device)  # [N]

    def epoch(self, seed: int, number: int) -> EpochBatches:
        """Windows of similar length together, in random order."""
        rng = np.random.default_rng([seed, number])
        user, start, size = self._windows(rng)
        groups = _grouped_by_length(size, self.batch_size, rng)
        batches = (self._batch(user[rows], start[rows], size[rows]) for rows in groups)
        return EpochBatches(len(groups), len(self.targets), batches)

    def _windows(self, rng: np.random.Generator) -> tuple[LongArray, LongArray, LongArray]:
        """User, first row and length of every window, [W] each."""
        T = self.length
        first = np.where(self.counts <= T, self.counts, rng.integers(1, T + 1, len(self.counts)))
        pieces = np.where(self.counts > 0, 1 + -(-(self.counts - first) // T), 0)
        user = np.repeat(np.arange(len(pieces)), pieces)
        piece = np.arange(len(user)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
        begin = np.where(piece == 0, 0, first[user] + (piece - 1) * T)
        end = np.minimum(first[user] + piece * T, self.counts[user])
        return user, self.starts[user] + begin, end - begin

    def _batch(self, user: LongArray, start: LongArray, size: LongArray) -> Batch:
        step = torch.arange(int(size.max()), device=self.device)
        begin = torch.from_numpy(start).to(self.device).unsqueeze(1)
        real = step < torch.from_numpy(size).to(self.device).unsqueeze(1)  # [B, T]
        place = torch.where(real, begin + step, 0)
        targets = torch.where(real, self.targets[place], -1)
        return Batch(
            user=torch.from_numpy(user).to(self.device),
            positives=targets[real],
            inputs=torch.where(real, self.inputs[place], 0),
            targets=targets,
            position_user=real.nonzero()[:, 0],
        )


class Pairs:
    """Single interactions, shuffled."""

    def __init__(self, interactions: Interactions, batch_size: int, device: str) -> None:
        self.batch_size = batch_size
        self.users = torch.from_numpy(interactions.histories.rows).to(device)  # [N]
        self.items = torch.from_numpy(interactions.histories.item_num.astype(np.int64)).to(device)

    def epoch(self, seed: int, number: int) -> EpochBatches:
        """Every interaction once."""
        rng = np.random.default_rng([seed, number])
        order = torch.from_numpy(rng.permutation(len(self.items))).to(self.items.device)
        groups = torch.split(order, self.batch_size)
        return EpochBatches(len(groups), len(order), (self._batch(rows) for rows in groups))

    def _batch(self, rows: torch.Tensor) -> Batch:
        example = torch.arange(len(rows), device=rows.device)
        return Batch(user=self.users[rows], positives=self.items[rows], position_user=example)


class UserRows:
    """Whole users as rows over the catalogue, 1 where the user has the item; users with no interaction are left out."""

    def __init__(self, interactions: Interactions, batch_size: int, device: str) -> None:
        self.batch_size = batch_size
        self.device = device
        self.matrix = interactions.histories.matrix(interactions.items)
        self.users = np.flatnonzero(interactions.histories.lengths).astype(np.int64)

    def epoch(self, seed: int, number: int) -> EpochBatches:
        """Every user once."""
        order = np.random.default_rng([seed, number]).permutation(self.users)
        groups = [order[at : at + self.batch_size] for at in range(0, len(order), self.batch_size)]
        return EpochBatches(len(groups), self.matrix.nnz, (self._batch(users) for users in groups))

    def _batch(self, users: LongArray) -> Batch:
        rows = torch.from_numpy(self.matrix[users].toarray()).to(self.device)
        example, item = rows.nonzero(as_tuple=True)
        user = torch.from_numpy(users).to(self.device)
        return Batch(user=user, positives=item, rows=rows, position_user=example)


def _grouped_by_length(size: LongArray, batch_size: int, rng: np.random.Generator) -> list[LongArray]:
    """Rows of each batch: sorted by length within random pools, so that little padding is computed on."""
    pool = np.arange(len(size)) // (batch_size * POOL)
    order = rng.permutation(len(size))
    order = order[np.lexsort((size[order], pool))]
    groups = [order[at : at + batch_size] for at in range(0, len(order), batch_size)]
    rng.shuffle(groups)
    return groups
