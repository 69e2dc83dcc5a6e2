"""Tasks of users drawn at random."""

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


class RandomConfig(Config):
    """Settings. A user is drawn in proportion to the number of interactions to the power of `length_exponent`."""

    length_exponent: Annotated[float, Float(0.0, 1.0)] = 0.0


class Random:
    """Every user as often, or those with long histories more often. A block holds nobody twice where it can."""

    def __init__(self, config: RandomConfig) -> None:
        self.exponent = config.length_exponent

    def draw(self, users: TaskUsers, count: int, *, seed: int) -> LongArray:
        """Numbers of `count` users, [count]."""
        able = users.able
        weight = users.lengths[able].astype(np.float64) ** self.exponent
        chosen = np.random.default_rng(seed).choice(able, count, replace=count > len(able), p=weight / weight.sum())
        return chosen.astype(np.int64)


def build(config: RandomConfig, context: BuildContext) -> Random:
    """A task sampler."""
    return Random(config)


@hookimpl
def provide_task_samplers() -> list[PartSpec]:
    """Random tasks."""
    return [
        PartSpec(
            name="random",
            api_version=1,
            config=RandomConfig,
            source="none: users drawn without replacement",
            build=build,
        )
    ]
