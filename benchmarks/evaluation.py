"""Time of judging a factor model on the whole catalogue, against the bare matrix product and top-k.

Random data, one run, ratios: `python benchmarks/evaluation.py`. The bare time is that of the scores of all users in
chunks of 512 and `torch.topk`, or `numpy.argpartition`, on them: no mask, no ties, no metrics.
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch

from recsmith.contracts.data import Fold, Histories, Holdout, Interactions, Requests, State
from recsmith.evaluation.judge import judge
from recsmith.evaluation.names import usual_metrics
from recsmith.wiring.plugins import installed, load_plugins

if TYPE_CHECKING:
    from collections.abc import Callable

    from recsmith.contracts.data import FloatArray

SHAPES = ((6_040, 3_706, 166), (20_000, 50_000, 100))  # users, items, interactions per user; the first is ml-1m's
WIDTH = 64
K = 10
CHUNK = 512


class Factors:
    """A model whose scores are one matrix product."""

    def __init__(self, users: int, items: int, rng: np.random.Generator) -> None:
        self.users = rng.standard_normal((users, WIDTH), np.float32)
        self.items = rng.standard_normal((items, WIDTH), np.float32)

    def scores(self, requests: Requests) -> FloatArray:
        """Scores [B, I]."""
        return self.users[requests.user_num] @ self.items.T

    def state(self) -> State:
        """Both matrices."""
        return State({}, {"users": self.users, "items": self.items})

    def load(self, state: State) -> None:
        """Take both matrices."""
        self.users, self.items = state.arrays["users"], state.arrays["items"]


def random_fold(users: int, items: int, length: int, rng: np.random.Generator) -> Fold:
    """Users with `length` random items each, and one random target."""
    indptr = np.arange(users + 1, dtype=np.int64) * length
    histories = Histories(indptr, rng.integers(0, items, users * length).astype(np.int32))
    requests = Requests(np.arange(users, dtype=np.int32), histories, histories_are_training=True)
    targets = rng.integers(0, items, users).astype(np.int32)
    holdout = Holdout(requests, np.arange(users + 1, dtype=np.int64), targets)
    train = Interactions(histories, users, items, ordered=True)
    return Fold(train, holdout, np.arange(users).astype(str), np.arange(items).astype(str))


def bare(model: Factors, top: Callable[[FloatArray], object]) -> None:
    """Scores and their top-k, nothing else."""
    for start in range(0, len(model.users), CHUNK):
        top(model.users[start : start + CHUNK] @ model.items.T)


def torch_top(scores: FloatArray) -> object:
    """The best K of every row."""
    return torch.topk(torch.from_numpy(scores), K)


def numpy_top(scores: FloatArray) -> object:
    """The best K of every row, in no order."""
    return np.argpartition(scores, -K, axis=1)[:, -K:]


def quickest(*works: Callable[[], object]) -> list[float]:
    """Seconds of each, the best of five rounds in which all take turns, so that a busy machine slows all alike."""
    times: list[list[float]] = [[] for _ in works]
    for _ in range(5):
        for work, taken in zip(works, times, strict=True):
            begin = time.perf_counter()
            work()
            taken.append(time.perf_counter() - begin)
    return [min(taken) for taken in times]


def main() -> None:
    """Print one line per shape."""
    rng = np.random.default_rng(0)
    names = [point.name for point in installed() if point.name.startswith("metric.")]
    registry = load_plugins(only=names).registry
    metrics = usual_metrics("next_item", registry)
    print(f"judging {', '.join(metrics)}")
    for users, items, length in SHAPES:
        model, fold = Factors(users, items, rng), random_fold(users, items, length, rng)
        whole, with_torch, with_numpy = quickest(
            partial(judge, model, fold, metrics, registry),
            partial(bare, model, torch_top),
            partial(bare, model, numpy_top),
        )
        print(
            f"{users} x {items}: judge {whole:.3f} s, {whole / with_torch:.2f} times product + torch.topk "
            f"({with_torch:.3f} s), {whole / with_numpy:.2f} times product + numpy.argpartition ({with_numpy:.3f} s)"
        )


if __name__ == "__main__":
    main()
