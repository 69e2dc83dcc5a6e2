"""The causal Transformer block of models and history encoders."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, relu, scaled_dot_product_attention, silu
from torch.utils.checkpoint import checkpoint

from recsmith_plugins.blocks.dropout import Dropout

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"relu": relu, "gelu": gelu, "silu": silu}
NORMS = {"layer": nn.LayerNorm, "rms": nn.RMSNorm}


class BlockSettings(Protocol):
    """The settings that a block reads."""

    @property
    def heads(self) -> int: ...  # noqa: D102 - H, which divides the width
    @property
    def dropout(self) -> float: ...  # noqa: D102 - of both sublayers
    @property
    def expansion(self) -> int: ...  # noqa: D102 - hidden width of the feed-forward layers, in D
    @property
    def activation(self) -> str: ...  # noqa: D102 - a name in ACTIVATIONS
    @property
    def norm(self) -> str: ...  # noqa: D102 - a name in NORMS
    @property
    def norm_first(self) -> bool: ...  # noqa: D102 - before or after each sublayer


class Block(nn.Module):
    """Causal self-attention and a feed-forward layer, each with a residual connection."""

    def __init__(self, config: BlockSettings, D: int) -> None:
        super().__init__()
        self.heads = config.heads
        self.norm_first = config.norm_first
        self.activation = ACTIVATIONS[config.activation]
        self.norms = nn.ModuleList([NORMS[config.norm](D), NORMS[config.norm](D)])
        self.query_key_value = nn.Linear(D, 3 * D)
        self.project = nn.Linear(D, D)
        self.expand = nn.Linear(D, config.expansion * D)
        self.contract = nn.Linear(config.expansion * D, D)
        self.dropout = Dropout(config.dropout)

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, D] to [B, T, D]; position t sees positions up to t."""
        for norm, sublayer in zip(self.norms, (self.attend, self.feed), strict=True):
            x = x + self.dropout(sublayer(norm(x))) if self.norm_first else norm(x + self.dropout(sublayer(x)))
        return x

    def attend(self, x: Tensor) -> Tensor:
        """Causal multi-head attention."""
        joined: Tensor = self.project(causal_attention(self.query_key_value(x), self.heads))
        return joined

    def feed(self, x: Tensor) -> Tensor:
        """Two linear layers with a non-linearity between them, the same at every position."""
        out: Tensor = self.contract(self.dropout(self.activation(self.expand(x))))
        return out


def causal_attention(query_key_value: Tensor, heads: int) -> Tensor:
    """[B, T, 3D], queries, keys and values side by side, to [B, T, D]: what each position takes from those up to it."""
    B, T, width = query_key_value.shape
    D = width // 3
    split = query_key_value.view(B, T, 3, heads, D // heads).permute(2, 0, 3, 1, 4)
    mixed = scaled_dot_product_attention(split[0], split[1], split[2], is_causal=True)  # [B, H, T, D / H]
    return mixed.transpose(1, 2).reshape(B, T, D)


def through(blocks: Iterable[nn.Module], x: Tensor, *, recompute: bool) -> Tensor:
    """`x` through one block after another.

    With `recompute` only what goes into a block is kept in training; what it makes of it on the way is made anew in the
    backward pass, with the same random numbers (Chen et al. 2016, https://arxiv.org/abs/1604.06174).
    """
    for block in blocks:
        x = checkpoint(block, x, use_reentrant=False) if recompute and torch.is_grad_enabled() else block(x)
    return x
