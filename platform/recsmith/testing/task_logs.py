"""Generated tasks with a known answer: users whose ratings follow one rule with few numbers of their own.

Items have hidden features z [I, 4]; what a user's own numbers do with them is the family. Means over users are near 0,
so that one head for all has next to nothing to say, and everything is in the adaptation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from recsmith.contracts.data import Histories, Interactions

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from recsmith.contracts.data import DoubleArray

WIDTH = 4  # hidden features of an item
TASTES = 4  # of the family "tastes"


@dataclass(frozen=True)
class TaskLog:
    """Ratings of users to learn from, and of others, new ones, whose first shots are known."""

    train: Interactions
    values: DoubleArray  # [new users, I]: what each would rate each item
    order: np.ndarray  # [new users, I]: items in the order in which they come; the first are the support


def linear(z: DoubleArray, users: int, rng: np.random.Generator) -> DoubleArray:
    """Each user weighs the features in their own way."""
    return rng.normal(size=(users, WIDTH)) @ z.T / 2


def waves(z: DoubleArray, users: int, rng: np.random.Generator) -> DoubleArray:
    """A wave over one direction of the items, which every user has at another phase (as in Finn et al. 2017)."""
    direction = 1.5 * z[:, 0]
    return np.sin(direction[None, :] + rng.uniform(0, 2 * np.pi, (users, 1)))


def tastes(z: DoubleArray, users: int, rng: np.random.Generator) -> DoubleArray:
    """Users of four tastes, and next to nothing of their own."""
    common = np.random.default_rng(17).normal(size=(TASTES, WIDTH))
    common -= common.mean(axis=0)
    own = common[rng.integers(TASTES, size=users)] + 0.1 * rng.normal(size=(users, WIDTH))
    return own @ z.T / 2


def one_direction(z: DoubleArray, users: int, rng: np.random.Generator) -> DoubleArray:
    """Only one feature tells users apart; all else is common."""
    return rng.normal(size=(users, 1)) * z[:, 0] + 0.5 * z[:, 1]


def noisy(z: DoubleArray, users: int, rng: np.random.Generator) -> DoubleArray:
    """As linear, each rating off by as much again by chance."""
    signal = linear(z, users, rng)
    return signal + 0.7 * rng.normal(size=signal.shape)


def outliers(z: DoubleArray, users: int, rng: np.random.Generator) -> DoubleArray:
    """As linear, but three users of ten rate by chance, and wildly."""
    signal = linear(z, users, rng)
    wild = rng.random(users) < 0.3  # noqa: PLR2004
    signal[wild] = 3.0 * rng.normal(size=(int(wild.sum()), signal.shape[1]))
    return signal


FAMILIES: Mapping[str, Callable[[DoubleArray, int, np.random.Generator], DoubleArray]] = {
    "linear": linear,
    "waves": waves,
    "tastes": tastes,
    "one_direction": one_direction,
    "noisy": noisy,
    "outliers": outliers,
}


def task_log(
    family: str, seed: int, *, users: int = 300, new: int = 100, items: int = 60, permuted: bool = False
) -> TaskLog:
    """Users who rate half of the items, and new ones who would rate all; `permuted`: each user's ratings shuffled.

    New users of "outliers" are none themselves.
    """
    rng = np.random.default_rng([seed, sorted(FAMILIES).index(family)])
    z = rng.normal(size=(items, WIDTH))
    values = FAMILIES[family](z, users, rng)
    fresh = FAMILIES["linear" if family == "outliers" else family](z, new, rng)
    if permuted:
        values, fresh = rng.permuted(values, axis=1), rng.permuted(fresh, axis=1)
    chosen = rng.permuted(np.tile(np.arange(items), (users, 1)), axis=1)[:, : items // 2]
    rated = np.take_along_axis(values, chosen, axis=1)
    indptr = np.arange(users + 1) * (items // 2)
    histories = Histories(indptr, chosen.ravel().astype(np.int32), value=rated.ravel().astype(np.float32))
    order = rng.permuted(np.tile(np.arange(items), (new, 1)), axis=1)
    return TaskLog(Interactions(histories, users, items, ordered=False), fresh, order)
