"""A moment as a trend over the years, and where it lies in the year and in the week."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from recsmith.contracts.config import Config
from recsmith.contracts.data import Column, DoubleArray, FeatureMatrix, Role, State
from recsmith.contracts.domains import Categorical
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import BuildContext, EncoderSpec

DAY = 86_400.0
YEAR = 365.2425 * DAY
PERIODS = {"year": YEAR, "week": 7 * DAY}


class TimeConfig(Config):
    """Settings."""

    cycles: Annotated[bool, Categorical((False, True))] = True  # season and day of the week, beside the trend


@dataclass
class Time:
    """Columns [R, 2] or [R, 6]: trend (zero mean, unit variance), 1 where known, then sine and cosine of each cycle.

    A missing moment is a row of zeros.
    """

    config: TimeConfig
    mean: float = 0.0
    deviation: float = 1.0

    def fit(self, column: Column) -> None:
        """Learn mean and deviation of the known moments, in seconds; a year where there is one moment only."""
        values = column.values.astype(np.float64)
        known = values[np.isfinite(values)]
        if len(known):
            self.mean = float(known.mean())
            self.deviation = (float(known.std()) if known.min() < known.max() else 0.0) or YEAR

    def features(self, column: Column) -> FeatureMatrix:
        """Trend, flag and cycles."""
        values = column.values.astype(np.float64)
        known = np.isfinite(values)
        values = np.where(known, values, self.mean)
        columns: list[DoubleArray] = [(values - self.mean) / self.deviation, np.ones(len(values))]
        for period in PERIODS.values() if self.config.cycles else ():
            angle = 2 * np.pi * (values % period) / period
            columns += [np.sin(angle), np.cos(angle)]
        return (np.stack(columns, axis=1) * known[:, None]).astype(np.float32)

    def labels(self) -> list[str]:
        """What each column is."""
        cycles = PERIODS if self.config.cycles else ()
        return ["trend", "known", *(f"{name}, {part}" for name in cycles for part in ("sine", "cosine"))]

    def state(self) -> State:
        """Mean and deviation."""
        return State({"mean": self.mean, "deviation": self.deviation})

    def load(self, state: State) -> None:
        """Take mean and deviation."""
        self.mean, self.deviation = float(state.values["mean"]), float(state.values["deviation"])


def build(config: TimeConfig, context: BuildContext) -> Time:
    """An unfitted encoder."""
    return Time(config)


@hookimpl
def provide_encoders() -> list[EncoderSpec]:
    """Trend and cycles of a moment."""
    roles: frozenset[Role] = frozenset({"time"})
    return [
        EncoderSpec(
            name="time",
            api_version=1,
            source="none: a standard score, and sine and cosine of each cycle",
            config=TimeConfig,
            build=build,
            roles=roles,
            default_for=roles,
        )
    ]
