"""The causal network of item table, positions and a stack of blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor, nn

from recsmith_plugins.blocks.dropout import Dropout
from recsmith_plugins.blocks.next_item import Footprint, peak_bytes
from recsmith_plugins.blocks.transformer import NORMS, through

if TYPE_CHECKING:
    from collections.abc import Callable

    from recsmith.contracts.plugins import Sizes
    from recsmith.contracts.training import Training


class StackSettings(Protocol):
    """The settings that a stack reads."""

    @property
    def heads(self) -> int: ...  # noqa: D102 - H
    @property
    def head_dim(self) -> int: ...  # noqa: D102 - the width D is heads x head_dim
    @property
    def blocks(self) -> int: ...  # noqa: D102 - how many
    @property
    def max_length(self) -> int: ...  # noqa: D102 - T
    @property
    def dropout(self) -> float: ...  # noqa: D102 - of what the first block reads
    @property
    def norm(self) -> str: ...  # noqa: D102 - a name in NORMS, behind the last block
    @property
    def tied(self) -> bool: ...  # noqa: D102 - one item table for inputs and outputs
    @property
    def init_std(self) -> float: ...  # noqa: D102 - deviation of the first weights
    @property
    def recompute(self) -> bool: ...  # noqa: D102 - blocks are computed anew in the backward pass
    @property
    def training(self) -> Training: ...  # noqa: D102 - how the model is learnt


class CausalStack(nn.Module):
    """`CausalNetwork`: `block` makes one for the width D; positions, where wanted, count from the oldest item."""

    def __init__(
        self, config: StackSettings, items: int, block: Callable[[int], nn.Module], *, positions: bool = True
    ) -> None:
        super().__init__()
        D = config.heads * config.head_dim
        self.inputs = nn.Embedding(items + 1, D)  # row 0 opens a history, item i is row i + 1
        self.outputs = None if config.tied else nn.Embedding(items, D)
        self.positions = nn.Embedding(config.max_length, D) if positions else None
        self.dropout = Dropout(config.dropout)
        self.blocks = nn.ModuleList([block(D) for _ in range(config.blocks)])
        self.norm = NORMS[config.norm](D)
        self.recompute = config.recompute
        for module in self.modules():
            if isinstance(module, (nn.Linear, nn.Embedding)):
                nn.init.normal_(module.weight, std=config.init_std)
            if isinstance(module, nn.Linear) and module.bias is not None:
                nn.init.zeros_(module.bias)

    def forward(self, inputs: Tensor, times: Tensor | None) -> Tensor:
        """Inputs [B, T], padded on the right, to hidden states [B, T, D]; no position sees what follows it."""
        x = self.inputs(inputs)
        if self.positions is not None:
            x = x + self.positions(torch.arange(inputs.shape[1], device=inputs.device))
        hidden: Tensor = self.norm(through(self.blocks, self.dropout(x), recompute=self.recompute))
        return hidden

    def table(self) -> nn.Embedding:
        """Output vectors of all items: the last I rows."""
        return self.inputs if self.outputs is None else self.outputs


def stack_bytes(config: StackSettings, block: int, make: Callable[[], nn.Module], sizes: Sizes) -> float:
    """Bytes, see `peak_bytes`. A position holds `block` D numbers in each block, and 24 D outside of them.

    As much as one block holds is on its way in the backward pass. With `recompute` the other blocks hold D.
    """
    D = config.heads * config.head_dim
    kept = config.blocks * D + 2 * block * D if config.recompute else (config.blocks + 1) * block * D
    footprint = Footprint(make, kept + 24 * D, block * D, config.max_length)
    return peak_bytes(footprint, config.training, sizes)
