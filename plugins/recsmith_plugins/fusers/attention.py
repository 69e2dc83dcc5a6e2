"""Columns' vectors joined by attention: each looks at the others, then a learnt query looks at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from recsmith.contracts.config import Config
from recsmith.contracts.domains import Categorical
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import GRADIENTS, BuildContext, FuserSpec
from recsmith_plugins.blocks.modalities import shares


class AttentionConfig(Config):
    """Settings."""

    heads: Annotated[int, Categorical((1, 2, 4))] = 2  # of the columns' look at each other


class Attention(nn.Module):
    """Self-attention over the known columns with a residual connection, and a pooling by a learnt query."""

    def __init__(self, config: AttentionConfig, columns: int, width: int) -> None:
        super().__init__()
        self.heads = config.heads if width % config.heads == 0 else 1
        self.columns = nn.Parameter(torch.zeros(columns, width))  # which column a vector is of
        self.norm = nn.LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.project = nn.Linear(width, width)
        self.pool = nn.Linear(width, 1, bias=False)
        nn.init.zeros_(self.project.weight)  # the mean of the columns at first
        nn.init.zeros_(self.project.bias)
        nn.init.zeros_(self.pool.weight)

    def forward(self, vectors: Tensor, known: Tensor) -> Tensor:
        """Vectors [n, C, D] and known [n, C] -> [n, D]."""
        n, C, D = vectors.shape
        x = self.norm(vectors + self.columns)
        parts = self.query_key_value(x).view(n, C, 3, self.heads, D // self.heads).permute(2, 0, 3, 1, 4)
        # A row without any known column would attend to nothing, which gives NaN: it may look at all, and ends as 0.
        seen = known | ~known.any(dim=1, keepdim=True)
        mixed = scaled_dot_product_attention(parts[0], parts[1], parts[2], attn_mask=seen.view(n, 1, 1, C))
        x = vectors + self.project(mixed.transpose(1, 2).reshape(n, C, D))
        fused: Tensor = (shares(self.pool(x).squeeze(2), known).unsqueeze(2) * x).sum(1)
        return fused


@dataclass(frozen=True)
class AttentionFuser:
    """Builds the module."""

    config: AttentionConfig

    def module(self, columns: int, width: int) -> nn.Module:
        """A fresh module (`TrainedFuser`)."""
        return Attention(self.config, columns, width)


def build(config: AttentionConfig, context: BuildContext) -> AttentionFuser:
    """A fuser."""
    return AttentionFuser(config)


@hookimpl
def provide_fusers() -> list[FuserSpec]:
    """Attention over columns."""
    return [
        FuserSpec(
            name="attention",
            api_version=1,
            source="Vaswani et al. 2017, https://arxiv.org/abs/1706.03762, over modalities as in Liu et al. 2019, "
            "User-Video Co-Attention Network for Personalized Micro-video Recommendation, doi:10.1145/3308558.3313513",
            config=AttentionConfig,
            needs=frozenset({GRADIENTS}),
            build=build,
        )
    ]
