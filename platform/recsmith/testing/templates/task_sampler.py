"""Tasks from users with enough to learn from and to be judged on, long histories more often."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np

from recsmith.contracts.config import Config
from recsmith.contracts.domains import Float, Int
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import BuildContext, PartSpec

if TYPE_CHECKING:
    from recsmith.contracts.data import LongArray
    from recsmith.contracts.tasks import TaskUsers


class MyNameConfig(Config):
    """Settings."""

    shortest: Annotated[int, Int(2, 10)] = 2  # interactions: at least one to adapt on and one to judge by
    power: Annotated[float, Float(0.0, 1.0)] = 0.5  # 0: every user alike; 1: in proportion to the history's length


@dataclass(frozen=True)
class MyName:
    """P(user) proportional to length ** power. A block holds nobody twice, if there are users enough to fill it."""

    config: MyNameConfig

    def draw(self, users: TaskUsers, count: int, *, seed: int) -> LongArray:
        """Numbers of `count` users, [count].

        Where no history is long enough, users are drawn among all that can be a task.
        """
        long = np.flatnonzero(users.lengths >= self.config.shortest)
        able = long if len(long) else users.able
        weights = np.maximum(1, users.lengths[able]) ** self.config.power
        generator = np.random.default_rng(seed)
        return generator.choice(able, count, replace=count > len(able), p=weights / weights.sum())


def build(config: MyNameConfig, context: BuildContext) -> MyName:
    """A task sampler."""
    return MyName(config)


@hookimpl
def provide_task_samplers() -> list[PartSpec]:
    """Offer the task sampler."""
    return [
        PartSpec(
            name="my_name",
            api_version=1,
            config=MyNameConfig,
            source="none: users by a power of their history's length",
            build=build,
        )
    ]
