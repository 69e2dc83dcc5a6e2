"""Blocks of like-minded users: one drawn at random, and those nearest to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import numpy as np

from recsmith.contracts.config import Config
from recsmith.contracts.domains import Float
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import BuildContext, PartSpec

if TYPE_CHECKING:
    from recsmith.contracts.data import LongArray
    from recsmith.contracts.tasks import TaskUsers


class NearestConfig(Config):
    """Settings. `near` is the share of a block that is nearest to its first user; the rest is drawn at random."""

    near: Annotated[float, Float(0.1, 1.0)] = 0.5


class Nearest:
    """Near by the cosine of the mean inputs of what users took: item vectors as they are, content where they hold it.

    A block of like users asks of the adaptation to tell fine differences apart, which chance rarely does.
    """

    def __init__(self, config: NearestConfig) -> None:
        self.near = config.near

    def draw(self, users: TaskUsers, count: int, *, seed: int) -> LongArray:
        """Numbers of `count` users, [count]."""
        rng = np.random.default_rng(seed)
        able = users.able
        first = int(rng.integers(len(able)))
        vectors = users.vectors()[able]
        norms = np.linalg.norm(vectors, axis=1)
        likeness = vectors @ vectors[first] / np.maximum(norms * norms[first], 1e-12)
        likeness[first] = np.inf
        near = able[np.argsort(-likeness, kind="stable")[: max(1, round(self.near * count))]]
        others = np.setdiff1d(able, near)
        others = others if len(others) else able
        missing = count - len(near)
        drawn = rng.choice(others, missing, replace=missing > len(others))
        return np.concatenate([near, drawn]).astype(np.int64)[:count]


def build(config: NearestConfig, context: BuildContext) -> Nearest:
    """A task sampler."""
    return Nearest(config)


@hookimpl
def provide_task_samplers() -> list[PartSpec]:
    """Nearest tasks."""
    return [
        PartSpec(
            name="nearest",
            api_version=1,
            config=NearestConfig,
            source=(
                "none: nearest users as one block; choosing batches of like tasks is that of Liu, Wang, Sahoo, Fang, "
                "Zhang and Hoi 2020, Adaptive Task Sampling for Meta-Learning, https://arxiv.org/abs/2007.08735"
            ),
            build=build,
        )
    ]
