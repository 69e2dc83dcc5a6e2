"""A history read by a gated recurrent unit."""

from __future__ import annotations

from typing import Annotated

from torch import Tensor, nn

from recsmith.contracts.config import Config
from recsmith.contracts.domains import Float, Int
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import BuildContext, PartSpec
from recsmith_plugins.blocks.dropout import Dropout


class GRUConfig(Config):
    """Settings."""

    layers: Annotated[int, Int(1, 2)] = 1
    dropout: Annotated[float, Float(0.0, 0.5)] = 0.2  # of the vectors that are read


class _GRU(nn.Module):
    def __init__(self, config: GRUConfig, width: int) -> None:
        super().__init__()
        self.dropout = Dropout(config.dropout)
        self.norm = nn.LayerNorm(width)
        self.gru = nn.GRU(width, width, config.layers, batch_first=True)
        self.out = nn.Linear(width, width)

    def forward(self, vectors: Tensor) -> Tensor:
        """[B, T, D] -> [B, T, D]: the state after vector t, turned by a linear layer."""
        states, _ = self.gru(self.dropout(self.norm(vectors)))
        out: Tensor = self.out(states)
        return out


class GRUHistory:
    """Builds the module."""

    def __init__(self, config: GRUConfig) -> None:
        self.config = config

    def module(self, width: int, length: int) -> nn.Module:
        """A fresh module (`HistoryEncoder`)."""
        return _GRU(self.config, width)


def build(config: GRUConfig, context: BuildContext) -> GRUHistory:
    """A history encoder."""
    return GRUHistory(config)


@hookimpl
def provide_blocks() -> list[PartSpec]:
    """The history encoder `gru`."""
    return [
        PartSpec(
            name="gru",
            api_version=1,
            source="Hidasi, Karatzoglou, Baltrunas and Tikk 2016, Session-based Recommendations with Recurrent Neural "
            "Networks, https://arxiv.org/abs/1511.06939",
            config=GRUConfig,
            build=build,
            needs=frozenset({"order"}),
            offers=frozenset({"history"}),
            cost="minutes",
        )
    ]
