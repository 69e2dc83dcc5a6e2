"""Linear warm-up to the base rate, then down again along a power of the time that is left."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from recsmith.contracts.config import Config
from recsmith.contracts.domains import Float
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import BuildContext, PartSpec


class MyNameConfig(Config):
    """Settings."""

    warmup: Annotated[float, Float(0.0, 0.4)] = 0.1  # share of all steps until the base rate is reached
    power: Annotated[float, Float(0.5, 3.0)] = 1.0  # of the way down; 1 is a straight line
    floor: Annotated[float, Float(1e-4, 0.1, log=True)] = 0.01  # the factor at both ends, so that no step is wasted


@dataclass(frozen=True)
class MyName:
    """floor + (1 - floor) * (share of the way up, or of the way down to the power)."""

    config: MyNameConfig

    def factor(self, progress: float) -> float:
        """The factor at `progress`, from 0 to 1; it is 1 where the warm-up ends."""
        warmup, floor = self.config.warmup, self.config.floor
        if progress < warmup:
            return floor + (1 - floor) * progress / warmup
        left = (1 - min(progress, 1.0)) / (1 - warmup)
        return floor + (1 - floor) * float(left**self.config.power)

    def observe(self, score: float) -> None:
        """Nothing to hear."""

    def state(self) -> dict[str, float]:
        """Nothing to keep."""
        return {}

    def load(self, state: dict[str, float]) -> None:
        """Nothing to load."""


def build(config: MyNameConfig, context: BuildContext) -> MyName:
    """A schedule."""
    return MyName(config)


@hookimpl
def provide_schedules() -> list[PartSpec]:
    """Offer the schedule."""
    return [
        PartSpec(
            name="my_name",
            api_version=1,
            config=MyNameConfig,
            source="Devlin et al. 2019, BERT, appendix A.2 (warm-up and linear decay)",
            build=build,
        )
    ]
