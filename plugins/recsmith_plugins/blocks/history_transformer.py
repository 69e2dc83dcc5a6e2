"""A history read by causal self-attention."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor, nn

from recsmith.contracts.config import Config
from recsmith.contracts.domains import Categorical, Float, Int
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import BuildContext, PartSpec
from recsmith_plugins.blocks.dropout import Dropout
from recsmith_plugins.blocks.transformer import NORMS, Block


class TransformerConfig(Config):
    """Settings. Without `positions` the blocks see a set, in which each summary knows what came before it."""

    heads: Annotated[int, Categorical((1, 2, 4))] = 2
    blocks: Annotated[int, Int(1, 3)] = 2
    dropout: Annotated[float, Float(0.0, 0.6)] = 0.3
    expansion: Annotated[int, Int(1, 4)] = 1  # hidden width of the feed-forward layers, in D
    activation: Annotated[str, Categorical(("relu", "gelu", "silu"))] = "gelu"
    norm: Annotated[str, Categorical(("layer", "rms"))] = "layer"
    norm_first: Annotated[bool, Categorical((True, False))] = True  # before or after each sublayer
    positions: Annotated[bool, Categorical((True, False))] = True  # learnt, counted from the oldest


class _Transformer(nn.Module):
    def __init__(self, config: TransformerConfig, width: int, length: int) -> None:
        super().__init__()
        self.positions = nn.Parameter(0.02 * torch.randn(length, width)) if config.positions else None
        self.dropout = Dropout(config.dropout)
        self.blocks = nn.ModuleList([Block(config, width) for _ in range(config.blocks)])
        self.norm = NORMS[config.norm](width)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)

    def forward(self, vectors: Tensor) -> Tensor:
        """[B, T, D] -> [B, T, D]."""
        x = self.dropout(vectors if self.positions is None else vectors + self.positions[: vectors.shape[1]])
        for block in self.blocks:
            x = block(x)
        summaries: Tensor = self.norm(x)
        return summaries


class TransformerHistory:
    """Builds the module."""

    def __init__(self, config: TransformerConfig) -> None:
        self.config = config

    def module(self, width: int, length: int) -> nn.Module:
        """A fresh module (`HistoryEncoder`)."""
        return _Transformer(self.config, width, length)


def build(config: TransformerConfig, context: BuildContext) -> TransformerHistory:
    """A history encoder."""
    return TransformerHistory(config)


@hookimpl
def provide_blocks() -> list[PartSpec]:
    """The history encoder `transformer`."""
    return [
        PartSpec(
            name="transformer",
            api_version=1,
            source="Kang and McAuley 2018, Self-Attentive Sequential Recommendation, https://arxiv.org/abs/1808.09781; "
            "over encoded content: Hou et al. 2022, Towards Universal Sequence Representation Learning for Recommender "
            "Systems, https://arxiv.org/abs/2206.05941",
            config=TransformerConfig,
            build=build,
            needs=frozenset({"order"}),
            offers=frozenset({"history"}),
            cost="minutes",
        )
    ]
