"""Columns side by side, each made quieter the louder it is, with an equal say for the columns that a row has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np
from scipy import sparse

from recsmith.contracts.config import Config
from recsmith.contracts.domains import Float
from recsmith.contracts.errors import PlanError
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import BuildContext, FuserSpec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from recsmith.contracts.data import FeatureMatrix, FloatArray


class MyNameConfig(Config):
    """Settings. A row of length n becomes one of length n ** (1 - damping): 0 keeps lengths, 1 makes unit rows."""

    damping: Annotated[float, Float(0.0, 1.0)] = 0.5


@dataclass(frozen=True)
class MyName:
    """[R, F_1], [R, F_2], … -> [R, F_1 + F_2 + …] in order of the names.

    Every row is divided by the root of the number of columns that it has: with full damping the cosine of two rows that
    have the same columns is the mean of the columns' cosines, however many others are missing. A row follows from its
    own values alone, so an item is fused alike alone and among others.
    """

    config: MyNameConfig

    def fuse(self, features: Mapping[str, FeatureMatrix]) -> FeatureMatrix:
        """Dense if all are dense, else CSR.

        Raises:
            PlanError: there is nothing to fuse.
        """
        if not features:
            raise PlanError("my_name: no column is encoded. Name at least one under content.encoders.")
        blocks = [features[name] for name in sorted(features)]
        lengths = [_lengths(block) for block in blocks]
        columns = np.maximum(1, np.sum([length > 0 for length in lengths], axis=0))  # [R]
        scaled = [
            _times(block, np.where(length > 0, length, 1) ** -self.config.damping / np.sqrt(columns))
            for block, length in zip(blocks, lengths, strict=True)
        ]
        dense = [block for block in scaled if isinstance(block, np.ndarray)]
        if len(dense) == len(scaled):
            return np.concatenate(dense, axis=1)
        return sparse.csr_array(sparse.hstack([sparse.csr_array(block) for block in scaled]))


def _lengths(block: FeatureMatrix) -> FloatArray:
    """The Euclidean length of every row, [R]."""
    squares = block * block if isinstance(block, np.ndarray) else block.multiply(block)
    return np.sqrt(np.asarray(squares.sum(axis=1), np.float32))


def _times(block: FeatureMatrix, factors: FloatArray) -> FeatureMatrix:
    """Every row times its factor, float32, as a new matrix."""
    column = factors.astype(np.float32)[:, None]
    return block * column if isinstance(block, np.ndarray) else sparse.csr_array(block.multiply(column))


def build(config: MyNameConfig, context: BuildContext) -> MyName:
    """A fuser."""
    return MyName(config)


@hookimpl
def provide_fusers() -> list[FuserSpec]:
    """Offer the fuser."""
    return [
        FuserSpec(
            name="my_name",
            api_version=1,
            config=MyNameConfig,
            source="none: columns side by side, with lengths damped",
            build=build,
        )
    ]
