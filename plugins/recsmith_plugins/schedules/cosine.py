"""A linear warm-up, then half a cosine down to a floor."""

from __future__ import annotations

import math
from typing import Annotated

from recsmith.contracts.config import Config
from recsmith.contracts.domains import Float
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import BuildContext, PartSpec


class CosineConfig(Config):
    """Settings of the cosine schedule."""

    warmup: Annotated[float, Float(0.0, 0.3)] = 0.05  # share of all steps
    floor: Annotated[float, Float(0.0, 0.5)] = 0.05  # the factor at the end


class Cosine:
    """From 0 to 1 through the warm-up, then down to the floor."""

    def __init__(self, config: CosineConfig) -> None:
        self.warmup = config.warmup
        self.floor = config.floor

    def factor(self, progress: float) -> float:
        """The factor at `progress`, from 0 to 1."""
        if progress < self.warmup:
            return progress / self.warmup
        done = (progress - self.warmup) / (1.0 - self.warmup)
        return self.floor + (1.0 - self.floor) * 0.5 * (1.0 + math.cos(math.pi * min(done, 1.0)))

    def observe(self, score: float) -> None:
        """Nothing to hear."""

    def state(self) -> dict[str, float]:
        """Nothing to keep."""
        return {}

    def load(self, state: dict[str, float]) -> None:
        """Nothing to load."""


def _build(config: CosineConfig, context: BuildContext) -> Cosine:
    return Cosine(config)


@hookimpl
def provide_schedules() -> list[PartSpec]:
    """The cosine schedule."""
    return [
        PartSpec(
            name="cosine",
            api_version=1,
            config=CosineConfig,
            source="Loshchilov and Hutter 2017, https://arxiv.org/abs/1608.03983",
            build=_build,
        )
    ]
