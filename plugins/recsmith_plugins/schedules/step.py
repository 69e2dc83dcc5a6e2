"""The rate drops by a fixed factor a few times, evenly spaced."""

from __future__ import annotations

from typing import Annotated

from recsmith.contracts.config import Config
from recsmith.contracts.domains import Float, Int
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import BuildContext, PartSpec


class StepConfig(Config):
    """Settings of the step schedule."""

    drops: Annotated[int, Int(1, 5)] = 2  # the steps are cut into drops + 1 equal stretches
    gamma: Annotated[float, Float(0.1, 0.8)] = 0.3  # the rate is multiplied by it at each drop


class Step:
    """gamma to the power of the drops so far."""

    def __init__(self, config: StepConfig) -> None:
        self.drops = config.drops
        self.gamma = config.gamma

    def factor(self, progress: float) -> float:
        """The factor at `progress`, from 0 to 1."""
        return float(self.gamma ** min(int(progress * (self.drops + 1)), self.drops))

    def observe(self, score: float) -> None:
        """Nothing to hear."""

    def state(self) -> dict[str, float]:
        """Nothing to keep."""
        return {}

    def load(self, state: dict[str, float]) -> None:
        """Nothing to load."""


def _build(config: StepConfig, context: BuildContext) -> Step:
    return Step(config)


@hookimpl
def provide_schedules() -> list[PartSpec]:
    """The step schedule."""
    return [
        PartSpec(
            name="step", api_version=1, source="none: a fixed factor at even intervals", config=StepConfig, build=_build
        )
    ]
