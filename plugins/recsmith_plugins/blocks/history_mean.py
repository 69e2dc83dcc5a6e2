"""A history as the mean of what is in it, recent things weighing more."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor, nn

from recsmith.contracts.config import Config
from recsmith.contracts.domains import Categorical
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import BuildContext, PartSpec


class MeanConfig(Config):
    """Settings. With `recency` each step back weighs a constant factor less, which is learnt; else all weigh alike."""

    recency: Annotated[bool, Categorical((True, False))] = True


class _Mean(nn.Module):
    """Weights of a recency-weighted mean are normalised to sum to 1; the factor begins with a half-life of 5."""

    def __init__(self, config: MeanConfig, width: int) -> None:
        super().__init__()
        self.half_life = nn.Parameter(torch.tensor(5.0).log()) if config.recency else None
        self.out = nn.Linear(width, width)
        nn.init.eye_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, vectors: Tensor) -> Tensor:
        """[B, T, D] -> [B, T, D]: the mean of vectors 0 to t, turned by a linear layer."""
        age = torch.arange(vectors.shape[1], device=vectors.device)
        age = age.unsqueeze(1) - age  # [T, T]: of vector s at summary t
        weight = (age >= 0).to(vectors.dtype)
        if self.half_life is not None:
            weight = weight * torch.exp2(-age.clamp_min(0) / self.half_life.exp())
        mean: Tensor = self.out((weight / weight.sum(1, keepdim=True)) @ vectors)
        return mean


class MeanHistory:
    """Builds the module."""

    def __init__(self, config: MeanConfig) -> None:
        self.config = config

    def module(self, width: int, length: int) -> nn.Module:
        """A fresh module (`HistoryEncoder`)."""
        return _Mean(self.config, width)


def build(config: MeanConfig, context: BuildContext) -> MeanHistory:
    """A history encoder."""
    return MeanHistory(config)


@hookimpl
def provide_blocks() -> list[PartSpec]:
    """The history encoder `mean`."""
    return [
        PartSpec(
            name="mean",
            api_version=1,
            source="Covington, Adams and Sargin 2016, Deep Neural Networks for YouTube Recommendations, "
            "doi:10.1145/2959100.2959190 (the mean of watched videos)",
            config=MeanConfig,
            build=build,
            offers=frozenset({"history"}),
        )
    ]
