"""The rate drops when the validation score has stopped rising."""

from __future__ import annotations

import math
from typing import Annotated

from recsmith.contracts.config import Config
from recsmith.contracts.domains import Float, Int
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import BuildContext, PartSpec


class PlateauConfig(Config):
    """Settings of reduce-on-plateau."""

    gamma: Annotated[float, Float(0.1, 0.8)] = 0.5  # the rate is multiplied by it at each drop
    wait: Annotated[int, Int(1, 5)] = 2  # epochs without a better score before a drop
    floor: float = 1e-3  # the factor never falls below


class Plateau:
    """Multiplies the factor by gamma after every `wait` epochs in a row without a better score."""

    def __init__(self, config: PlateauConfig) -> None:
        self.config = config
        self.current = 1.0
        self.best = -math.inf
        self.waited = 0

    def factor(self, progress: float) -> float:
        """The factor now, whatever the progress."""
        return self.current

    def observe(self, score: float) -> None:
        """Hear the validation score after an epoch, higher is better."""
        if score > self.best:
            self.best, self.waited = score, 0
            return
        self.waited += 1
        if self.waited == self.config.wait:
            self.current, self.waited = max(self.current * self.config.gamma, self.config.floor), 0

    def state(self) -> dict[str, float]:
        """Factor, waiting epochs and, once a score was heard, the best one."""
        best = {} if math.isinf(self.best) else {"best": self.best}  # JSON has no infinity
        return {"current": self.current, "waited": float(self.waited), **best}

    def load(self, state: dict[str, float]) -> None:
        """Continue from a kept state."""
        self.current, self.waited = state["current"], int(state["waited"])
        self.best = state.get("best", -math.inf)


def _build(config: PlateauConfig, context: BuildContext) -> Plateau:
    return Plateau(config)


@hookimpl
def provide_schedules() -> list[PartSpec]:
    """Reduce-on-plateau."""
    return [
        PartSpec(
            name="plateau",
            api_version=1,
            source="https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.ReduceLROnPlateau.html",
            config=PlateauConfig,
            build=_build,
        )
    ]
