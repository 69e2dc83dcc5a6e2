"""Whitening of dense features: their strongest directions, at zero mean and unit variance."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from recsmith.contracts.data import State

if TYPE_CHECKING:
    from recsmith.contracts.data import BoolArray, Column, DoubleArray, FeatureMatrix, LongArray
    from recsmith.contracts.plugins import Encoder

LEAST_VARIANCE = 1e-6  # share of the largest; directions with less are noise and are not blown up
MEAN, TURN = "whitening.mean", "whitening.turn"


def _nothing() -> DoubleArray:
    return np.zeros((0, 0))


@dataclass
class Whitened:
    """An encoder whose dense features are centred, turned and scaled (Su et al. 2021); sparse ones stay as they are.

    A direction is kept where its variance is more than noise, at most `directions` of them, and never more than half
    as many as there are rows to learn them from. A row of zeros stays one.
    """

    encoder: Encoder
    directions: int
    mean: DoubleArray = field(default_factory=_nothing)  # [1, F]
    turn: DoubleArray = field(default_factory=_nothing)  # [F, at most `directions`]

    def fit(self, column: Column) -> None:
        """Fit the encoder, then the directions of what it makes of the column."""
        self.encoder.fit(column)
        self.learn(self.encoder.features(column))

    def learn(self, features: FeatureMatrix, rows: LongArray | None = None) -> None:
        """Find mean and directions of the known rows among `rows` of encoded features; of too few, none."""
        if not isinstance(features, np.ndarray):
            return
        values = features if rows is None else features[rows]
        known = values[_known(values)].astype(np.float64)
        self.mean, self.turn = np.zeros((1, values.shape[1])), np.eye(values.shape[1])
        wanted = min(self.directions, len(known) // 2, values.shape[1])
        if wanted < 1:
            return
        self.mean = known.mean(axis=0, keepdims=True)
        centred = known - self.mean
        variances, directions = np.linalg.eigh(centred.T @ centred / len(known))
        strongest = np.flatnonzero(variances > LEAST_VARIANCE * max(variances[-1], 1e-30))[-wanted:]
        self.turn = directions[:, strongest] / np.sqrt(variances[strongest])

    def whiten(self, features: FeatureMatrix) -> FeatureMatrix:
        """The whitened rows of encoded features."""
        if not isinstance(features, np.ndarray):
            return features
        known = _known(features)[:, None]
        return np.where(known, (features - self.mean) @ self.turn, 0.0).astype(np.float32)

    def features(self, column: Column) -> FeatureMatrix:
        """Encode, then whiten."""
        return self.whiten(self.encoder.features(column))

    def state(self) -> State:
        """The encoder's, with mean and directions."""
        inner = self.encoder.state()
        return State(inner.values, {**inner.arrays, MEAN: self.mean, TURN: self.turn})

    def load(self, state: State) -> None:
        """Take both apart again."""
        arrays: dict[str, Any] = dict(state.arrays)
        self.mean, self.turn = arrays.pop(MEAN), arrays.pop(TURN)
        self.encoder.load(State(state.values, arrays))


def _known(values: DoubleArray | Any) -> BoolArray:
    known: BoolArray = (values != 0).any(axis=1)
    return known
