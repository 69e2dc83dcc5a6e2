"""Tasks that are still hard: users whose query is judged worst after adaptation, more often."""

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


class HardConfig(Config):
    """Settings. P(user) is proportional to rank ** power, the easiest user being the first of U."""

    power: Annotated[float, Float(0.1, 3.0, log=True)] = 0.5


class Hard:
    """By ranks of the losses, so that one hopeless user does not take all places."""

    def __init__(self, config: HardConfig) -> None:
        self.power = config.power

    def draw(self, users: TaskUsers, count: int, *, seed: int) -> LongArray:
        """Numbers of `count` users, [count]."""
        able = users.able
        rank = np.argsort(np.argsort(users.losses()[able], kind="stable"), kind="stable") + 1.0
        weight = rank**self.power
        chosen = np.random.default_rng(seed).choice(able, count, replace=count > len(able), p=weight / weight.sum())
        return chosen.astype(np.int64)


def build(config: HardConfig, context: BuildContext) -> Hard:
    """A task sampler."""
    return Hard(config)


@hookimpl
def provide_task_samplers() -> list[PartSpec]:
    """Hard tasks."""
    return [
        PartSpec(
            name="hard",
            api_version=1,
            config=HardConfig,
            source=(
                "Zhou et al. 2020, Expert Training: Task Hardness Aware Meta-Learning for Few-Shot Classification, "
                "https://arxiv.org/abs/2007.06240; ranks as in Schaul et al. 2016, https://arxiv.org/abs/1511.05952"
            ),
            build=build,
        )
    ]
