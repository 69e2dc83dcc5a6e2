"""A vector that somebody else computed (an embedding of an image, say), as it is or whitened."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

import numpy as np

from recsmith.contracts.config import Config
from recsmith.contracts.data import BoolArray, Column, DoubleArray, FeatureMatrix, Role, State
from recsmith.contracts.domains import Categorical
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import BuildContext, EncoderSpec

LEAST_VARIANCE = 1e-6  # share of the largest; directions with less are noise and are not blown up


class VectorConfig(Config):
    """Settings. Whitening centres the vectors, and turns and scales them to unit variance (Su et al. 2021)."""

    whiten: Annotated[bool, Categorical((False, True))] = False


def _known(values: DoubleArray) -> BoolArray:
    known: BoolArray = np.isfinite(values).all(axis=1) & (values != 0).any(axis=1)
    return known


def _nothing() -> DoubleArray:
    return np.zeros((0, 0))


@dataclass
class Vector:
    """The vectors, [R, D], or fewer whitened columns. A row of zeros, or with a NaN, is missing: a row of zeros."""

    config: VectorConfig
    mean: DoubleArray = field(default_factory=_nothing)  # [1, D]
    turn: DoubleArray = field(default_factory=_nothing)  # [D, columns]

    def fit(self, column: Column) -> None:
        """Learn mean and principal directions of the known vectors."""
        values = column.values.astype(np.float64)
        known = values[_known(values)]
        if not self.config.whiten or not len(known):
            self.mean, self.turn = np.zeros((1, values.shape[1])), np.eye(values.shape[1])
            return
        self.mean = known.mean(axis=0, keepdims=True)
        centred = known - self.mean
        variances, directions = np.linalg.eigh(centred.T @ centred / len(known))
        kept = variances > LEAST_VARIANCE * variances[-1]
        self.turn = directions[:, kept] / np.sqrt(variances[kept])

    def features(self, column: Column) -> FeatureMatrix:
        """The vectors, whitened if the settings say so."""
        values = column.values.astype(np.float64)
        known = _known(values)
        if self.config.whiten:
            values = (np.where(known[:, None], values, 0.0) - self.mean) @ self.turn
        return np.where(known[:, None], values, 0.0).astype(np.float32)

    def state(self) -> State:
        """Mean and directions."""
        return State(arrays={"mean": self.mean, "turn": self.turn})

    def load(self, state: State) -> None:
        """Take mean and directions."""
        self.mean, self.turn = state.arrays["mean"], state.arrays["turn"]


def build(config: VectorConfig, context: BuildContext) -> Vector:
    """An unfitted encoder."""
    return Vector(config)


@hookimpl
def provide_encoders() -> list[EncoderSpec]:
    """Vectors."""
    roles: frozenset[Role] = frozenset({"vector"})
    return [
        EncoderSpec(
            name="vector",
            api_version=1,
            source="Su, Cao, Liu and Ou 2021, https://arxiv.org/abs/2103.15316 (whitening)",
            config=VectorConfig,
            build=build,
            roles=roles,
            default_for=roles,
        )
    ]
