"""Up to the base rate and down again, far below where it began."""

from __future__ import annotations

import math
from typing import Annotated

from recsmith.contracts.config import Config
from recsmith.contracts.domains import Float
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import BuildContext, PartSpec


class OneCycleConfig(Config):
    """Settings of the one-cycle schedule. The defaults are torch's."""

    rise: Annotated[float, Float(0.05, 0.5)] = 0.3  # share of all steps until the base rate is reached
    start_divisor: Annotated[float, Float(2.0, 100.0, log=True)] = 25.0  # base rate / first rate
    end_divisor: Annotated[float, Float(10.0, 1e5, log=True)] = 1e4  # first rate / last rate


class OneCycle:
    """Two half cosines."""

    def __init__(self, config: OneCycleConfig) -> None:
        self.rise = config.rise
        self.start = 1.0 / config.start_divisor
        self.end = self.start / config.end_divisor

    def factor(self, progress: float) -> float:
        """The factor at `progress`, from 0 to 1."""
        if progress < self.rise:
            return _anneal(self.start, 1.0, progress / self.rise)
        return _anneal(1.0, self.end, min((progress - self.rise) / (1.0 - self.rise), 1.0))

    def observe(self, score: float) -> None:
        """Nothing to hear."""

    def state(self) -> dict[str, float]:
        """Nothing to keep."""
        return {}

    def load(self, state: dict[str, float]) -> None:
        """Nothing to load."""


def _anneal(start: float, end: float, share: float) -> float:
    return end + (start - end) * 0.5 * (1.0 + math.cos(math.pi * share))


def _build(config: OneCycleConfig, context: BuildContext) -> OneCycle:
    return OneCycle(config)


@hookimpl
def provide_schedules() -> list[PartSpec]:
    """The one-cycle schedule."""
    return [
        PartSpec(
            name="one_cycle",
            api_version=1,
            config=OneCycleConfig,
            source="Smith and Topin 2017, https://arxiv.org/abs/1708.07120",
            build=_build,
        )
    ]
