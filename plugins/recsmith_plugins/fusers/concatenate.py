"""Columns' features side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np
import torch
from scipy import sparse
from sklearn.preprocessing import normalize
from torch import Tensor, nn

from recsmith.contracts.config import Config
from recsmith.contracts.domains import Categorical
from recsmith.contracts.errors import PlanError
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import BuildContext, FuserSpec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from recsmith.contracts.data import FeatureMatrix


class ConcatenateConfig(Config):
    """Settings. With `normalise` every column has unit rows, so a wide or loud column does not drown the others.

    It acts in models that are fitted in one go; those that learn by gradients bring all columns to one size.
    """

    normalise: Annotated[bool, Categorical((True, False))] = True


@dataclass(frozen=True)
class Concatenate:
    """[R, F_1], [R, F_2], … -> [R, F_1 + F_2 + …] in order of the names, over the root of the number of columns.

    The cosine of two rows is then the mean of the columns' cosines, where all columns are known and normalised.
    """

    config: ConcatenateConfig

    def fuse(self, features: Mapping[str, FeatureMatrix]) -> FeatureMatrix:
        """Dense if all are dense, else CSR.

        Raises:
            PlanError: there is nothing to fuse.
        """
        if not features:
            raise PlanError("concatenate: no column is encoded. Name at least one under content.encoders.")
        share = np.float32(1 / np.sqrt(len(features)))
        blocks = [features[name] for name in sorted(features)]
        scaled = [share * (normalize(block) if self.config.normalise and block.shape[1] else block) for block in blocks]
        dense = [block for block in scaled if isinstance(block, np.ndarray)]
        if len(dense) == len(scaled):
            return np.concatenate(dense, axis=1)
        return sparse.hstack([sparse.csr_array(block) for block in scaled], format="csr")

    def module(self, columns: int, width: int) -> nn.Module:
        """A fresh module (`TrainedFuser`)."""
        return Joined(columns, width)


class Joined(nn.Module):
    """The known columns' vectors side by side, through one linear layer without a bias: unknown ones add nothing."""

    def __init__(self, columns: int, width: int) -> None:
        super().__init__()
        self.join = nn.Linear(columns * width, width, bias=False)
        with torch.no_grad():  # the sum of the columns over the root of their number, at first
            self.join.weight.copy_(torch.eye(width).repeat(1, columns) / columns**0.5)

    def forward(self, vectors: Tensor, known: Tensor) -> Tensor:
        """Vectors [n, C, D] and known [n, C] -> [n, D]."""
        joined: Tensor = self.join((vectors * known.unsqueeze(2)).flatten(1))
        return joined


def build(config: ConcatenateConfig, context: BuildContext) -> Concatenate:
    """A fuser."""
    return Concatenate(config)


@hookimpl
def provide_fusers() -> list[FuserSpec]:
    """Concatenation."""
    return [
        FuserSpec(
            name="concatenate",
            api_version=1,
            source="none: columns side by side",
            config=ConcatenateConfig,
            build=build,
        )
    ]
