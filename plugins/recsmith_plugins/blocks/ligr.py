"""The gated residual block of LiGR: causal self-attention and a SwiGLU layer, each let in by a gate."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor, nn
from torch.nn.functional import silu

from recsmith_plugins.blocks.dropout import Dropout
from recsmith_plugins.blocks.transformer import NORMS, causal_attention


class LiGRSettings(Protocol):
    """The settings that a block reads."""

    @property
    def heads(self) -> int: ...  # noqa: D102 - H, which divides the width
    @property
    def dropout(self) -> float: ...  # noqa: D102 - of both sublayers
    @property
    def expansion(self) -> int: ...  # noqa: D102 - hidden width of the feed-forward layer, in D
    @property
    def norm(self) -> str: ...  # noqa: D102 - a name in NORMS


class LiGRBlock(nn.Module):
    """x + sigmoid(G x) * sublayer(norm(x)), for each of the two sublayers; the gate reads x before the norm.

    Borisyuk et al. 2025, From Features to Transformers: Redefining Ranking for Scalable Impact,
    https://arxiv.org/abs/2502.03417.
    """

    def __init__(self, config: LiGRSettings, D: int) -> None:
        super().__init__()
        self.heads = config.heads
        self.norms = nn.ModuleList([NORMS[config.norm](D), NORMS[config.norm](D)])
        self.gates = nn.ModuleList([nn.Linear(D, D), nn.Linear(D, D)])
        self.query_key_value = nn.Linear(D, 3 * D)
        self.project = nn.Linear(D, D)
        self.expand = nn.Linear(D, 2 * config.expansion * D, bias=False)  # what is gated, and what gates it
        self.contract = nn.Linear(config.expansion * D, D, bias=False)
        self.dropout = Dropout(config.dropout)

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, D] to [B, T, D]; position t sees positions up to t."""
        for norm, gate, sublayer in zip(self.norms, self.gates, (self.attend, self.feed), strict=True):
            x = x + gate(x).sigmoid() * self.dropout(sublayer(norm(x)))
        return x

    def attend(self, x: Tensor) -> Tensor:
        """Causal multi-head attention."""
        joined: Tensor = self.project(causal_attention(self.query_key_value(x), self.heads))
        return joined

    def feed(self, x: Tensor) -> Tensor:
        """SwiGLU (Shazeer 2020, https://arxiv.org/abs/2002.05202), the same at every position."""
        value, gate = self.expand(x).chunk(2, -1)
        out: Tensor = self.contract(self.dropout(silu(gate) * value))
        return out
