"""A vector that somebody else computed (an embedding of an image, say), as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from recsmith.contracts.data import Column, FeatureMatrix, Role, State
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import EncoderSpec

if TYPE_CHECKING:
    from recsmith.contracts.config import Config
    from recsmith.contracts.plugins import BuildContext


class Vector:
    """The vectors, [R, D]. A row of zeros, or with a NaN, is missing: a row of zeros."""

    def fit(self, column: Column) -> None:
        """Nothing to learn."""

    def features(self, column: Column) -> FeatureMatrix:
        """The vectors."""
        values = column.values
        return np.where(np.isfinite(values).all(axis=1, keepdims=True), values, 0.0).astype(np.float32)

    def state(self) -> State:
        """Nothing to keep."""
        return State()

    def load(self, state: State) -> None:
        """Nothing to take."""


def build(config: Config, context: BuildContext) -> Vector:
    """An encoder."""
    return Vector()


@hookimpl
def provide_encoders() -> list[EncoderSpec]:
    """Vectors."""
    roles: frozenset[Role] = frozenset({"vector"})
    return [
        EncoderSpec(
            name="vector",
            api_version=1,
            source="none: vectors as they are",
            build=build,
            roles=roles,
            default_for=roles,
            fitted=False,
        )
    ]
