"""The Transformer block in which every position sees all others, but for the padding."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from recsmith_plugins.blocks.dropout import Dropout
from recsmith_plugins.blocks.transformer import ACTIVATIONS, NORMS

if TYPE_CHECKING:
    from recsmith_plugins.blocks.transformer import BlockSettings


class BidirectionalBlock(nn.Module):
    """Self-attention and a feed-forward layer, each with a residual connection."""

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

    def forward(self, x: Tensor, real: Tensor) -> Tensor:
        """[B, T, D] to [B, T, D]; nobody sees places where `real` [B, T] is False. One at least is True in each row."""
        attended = self.attend(self.norms[0](x) if self.norm_first else x, real)
        x = x + self.dropout(attended)
        x = x if self.norm_first else self.norms[0](x)
        fed = self.feed(self.norms[1](x) if self.norm_first else x)
        x = x + self.dropout(fed)
        return x if self.norm_first else self.norms[1](x)

    def attend(self, x: Tensor, real: Tensor) -> Tensor:
        """Multi-head attention over the real places."""
        B, T, D = x.shape
        heads = self.query_key_value(x).view(B, T, 3, self.heads, D // self.heads).permute(2, 0, 3, 1, 4)
        mixed = scaled_dot_product_attention(heads[0], heads[1], heads[2], attn_mask=real[:, None, None])
        joined: Tensor = self.project(mixed.transpose(1, 2).reshape(B, T, D))  # from [B, H, T, D / H]
        return joined

    def feed(self, x: Tensor) -> Tensor:
        """Two linear layers with a non-linearity between them, the same at every position."""
        out: Tensor = self.contract(self.dropout(self.activation(self.expand(x))))
        return out
