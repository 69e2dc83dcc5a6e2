"""Columns' vectors summed, each as far as a gate lets it through."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor, nn

from recsmith.contracts.config import Config
from recsmith.contracts.domains import Categorical
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import GRADIENTS, BuildContext, FuserSpec
from recsmith_plugins.blocks.modalities import shares


class GatedSumConfig(Config):
    """Settings. Gates "per_item" look at the item's vectors; "per_column" ones are the same for all items.

    With gates per column the product with a query is a weighted sum of the columns' own products: late fusion of
    scores, with weights that are learnt.
    """

    gates: Annotated[str, Categorical(("per_item", "per_column"))] = "per_item"


class Gates(nn.Module):
    """The sum of the known columns' vectors, by shares that sum to 1."""

    def __init__(self, config: GatedSumConfig, columns: int, width: int) -> None:
        super().__init__()
        self.base = nn.Parameter(torch.zeros(columns))
        self.look = nn.Linear(columns * width, columns, bias=False) if config.gates == "per_item" else None
        if self.look is not None:
            nn.init.zeros_(self.look.weight)  # every column counts alike at first

    def forward(self, vectors: Tensor, known: Tensor) -> Tensor:
        """Vectors [n, C, D] and known [n, C] -> [n, D]."""
        vectors = vectors * known.unsqueeze(2)
        scores = self.base.expand(known.shape)
        if self.look is not None:
            scores = scores + self.look(vectors.flatten(1))
        return (shares(scores, known).unsqueeze(2) * vectors).sum(1)


@dataclass(frozen=True)
class GatedSum:
    """Builds the module."""

    config: GatedSumConfig

    def module(self, columns: int, width: int) -> nn.Module:
        """A fresh module (`TrainedFuser`)."""
        return Gates(self.config, columns, width)


def build(config: GatedSumConfig, context: BuildContext) -> GatedSum:
    """A fuser."""
    return GatedSum(config)


@hookimpl
def provide_fusers() -> list[FuserSpec]:
    """Gated sums."""
    return [
        FuserSpec(
            name="gated_sum",
            api_version=1,
            source="Arevalo, Solorio, Montes-y-Gómez and González 2017, Gated Multimodal Units for Information Fusion, "
            "https://arxiv.org/abs/1702.01992",
            config=GatedSumConfig,
            needs=frozenset({GRADIENTS}),
            build=build,
        )
    ]
