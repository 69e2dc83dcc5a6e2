"""A number on a common scale, with a flag that says whether it is known."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

import numpy as np

from recsmith.contracts.config import Config
from recsmith.contracts.data import Column, DoubleArray, FeatureMatrix, Role, State
from recsmith.contracts.domains import Categorical
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import BuildContext, EncoderSpec

QUANTILES = 257  # points of the stored distribution


class NumberConfig(Config):
    """Settings. "standard": zero mean, unit variance. "log": the same after sign(x) ln(1 + |x|), for long tails.

    "quantile": the share of training values below, from -1 to 1, which no outlier can stretch.
    """

    scale: Annotated[str, Categorical(("standard", "quantile", "log"))] = "standard"


@dataclass
class Number:
    """Two columns, [R, 2]: the scaled number, and 1 where it is known. A missing number is a row of zeros."""

    config: NumberConfig
    points: DoubleArray = field(default_factory=lambda: np.zeros(QUANTILES))  # quantiles of the training values
    mean: float = 0.0
    deviation: float = 1.0

    def _curved(self, values: DoubleArray) -> DoubleArray:
        return np.sign(values) * np.log1p(np.abs(values)) if self.config.scale == "log" else values

    def fit(self, column: Column) -> None:
        """Learn mean, deviation and quantiles of the known values."""
        known = self._curved(column.values[np.isfinite(column.values.astype(np.float64))].astype(np.float64))
        if len(known):
            self.points = np.quantile(known, np.linspace(0, 1, QUANTILES))
            self.mean = float(known.mean())
            # Equal values can have a deviation that is zero but for rounding: nothing is divided by that.
            self.deviation = (float(known.std()) if known.min() < known.max() else 0.0) or 1.0

    def features(self, column: Column) -> FeatureMatrix:
        """The scaled number and its flag."""
        values = column.values.astype(np.float64)
        known = np.isfinite(values)
        values = self._curved(np.where(known, values, 0.0))
        standard = (values - self.mean) / self.deviation
        scaled = self._share_below(values) if self.config.scale == "quantile" else standard
        return np.stack([np.where(known, scaled, 0.0), known], axis=1).astype(np.float32)

    def _share_below(self, values: DoubleArray) -> DoubleArray:
        """From -1 to 1; equal training values share the middle of their range."""
        shares = np.linspace(-1, 1, QUANTILES)
        rising = np.interp(values, self.points, shares)
        falling = -np.interp(-values, -self.points[::-1], shares)
        return (rising + falling) / 2

    def labels(self) -> list[str]:
        """What the two columns are."""
        return ["value", "known"]

    def state(self) -> State:
        """Mean, deviation and quantiles."""
        return State({"mean": self.mean, "deviation": self.deviation}, {"points": self.points})

    def load(self, state: State) -> None:
        """Take mean, deviation and quantiles."""
        self.mean, self.deviation = float(state.values["mean"]), float(state.values["deviation"])
        self.points = state.arrays["points"]


def build(config: NumberConfig, context: BuildContext) -> Number:
    """An unfitted encoder."""
    return Number(config)


@hookimpl
def provide_encoders() -> list[EncoderSpec]:
    """Scaled numbers."""
    roles: frozenset[Role] = frozenset({"number"})
    return [
        EncoderSpec(
            name="number",
            api_version=1,
            source="none: a standard score, its logarithm, or the share of values below",
            config=NumberConfig,
            build=build,
            roles=roles,
            default_for=roles,
        )
    ]
