"""Caser: convolutions over the last items, read as a picture of L rows and D columns.

Differs from Tang and Wang (2018): no user vectors, so that users are served whom training has not seen; all positions
are computed at once, and each predicts the next item alone, where the paper's predict up to three that follow; a
softmax instead of binary cross-entropy; no non-linearity behind the last layer, whose output must be able to point
anywhere; by default one table serves inputs and outputs; no item biases. Before a history's start stand zeros.

Defaults on ml-100k, validation NDCG@10 (mean of 3 epochs, of 2 seeds): .105; with two tables .098, and with those and a
window of 3 .091, without vertical filters .094, with gelu .095, with dropout .5 .097.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import torch
from torch import nn
from torch.nn.functional import max_pool1d, pad

from recsmith.contracts.config import Choice, Config
from recsmith.contracts.domains import Categorical, Float, Int, Narrowed
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import BuildContext, ModelSpec, Sizes
from recsmith.contracts.training import Training
from recsmith_plugins.blocks.dropout import Dropout
from recsmith_plugins.blocks.next_item import Footprint, NextItemModel, peak_bytes, seeded
from recsmith_plugins.blocks.transformer import ACTIVATIONS

if TYPE_CHECKING:
    from torch import Tensor


class CaserConfig(Config):
    """Settings. `init_std` is the deviation of the item vectors' first elements."""

    dim: Annotated[int, Int(16, 256, log=True)] = 64  # D, of the item vectors
    window: Annotated[int, Int(2, 12)] = 5  # L, items that a prediction looks at
    horizontal: Annotated[int, Int(4, 64, log=True)] = 16  # filters of each height from 1 to L
    vertical: Annotated[int, Int(0, 16)] = 4  # filters that weigh the L items
    activation: Annotated[str, Categorical(("relu", "gelu", "silu"))] = "relu"
    max_length: Annotated[int, Int(20, 400, log=True)] = 100  # T, positions that are learnt from at once
    dropout: Annotated[float, Float(0.0, 0.6)] = 0.3
    tied: Annotated[bool, Categorical((True, False))] = True  # one item table for inputs and outputs
    init_std: Annotated[float, Float(0.005, 0.2, log=True)] = 0.05
    training: Annotated[
        Training,
        Narrowed({"learning_rate": Float(2e-4, 2e-2, log=True), "batch_size": Int(16, 256, log=True)}),
    ] = Training(batch_size=32, learning_rate=2e-3, loss=Choice(name="sampled_softmax", params={"negatives": 512}))


class Network(nn.Module):
    """Item table, filters, and a linear layer from their answers to item vectors."""

    def __init__(self, config: CaserConfig, items: int) -> None:
        super().__init__()
        D, self.window = config.dim, config.window
        self.inputs = nn.Embedding(items + 1, D)  # row 0 opens a history, item i is row i + 1
        self.outputs = None if config.tied else nn.Embedding(items, D)
        self.activation = ACTIVATIONS[config.activation]
        heights = range(1, config.window + 1)
        self.horizontal = nn.ModuleList([nn.Conv1d(D, config.horizontal, height) for height in heights])
        self.vertical = nn.Conv1d(1, config.vertical, config.window) if config.vertical else None
        self.dropout = Dropout(config.dropout)
        self.out = nn.Linear(config.horizontal * config.window + config.vertical * D, D)
        for module in self.modules():
            if isinstance(module, nn.Embedding):
                nn.init.normal_(module.weight, std=config.init_std)

    def forward(self, inputs: Tensor, times: Tensor | None) -> Tensor:
        """Inputs [B, T], padded on the right, to hidden states [B, T, D]; no position sees what follows it."""
        x = pad(self.inputs(inputs).transpose(1, 2), (self.window - 1, 0))  # [B, D, L - 1 + T]
        hidden: Tensor = self.out(self.dropout(torch.cat([*self.across(x), *self.along(x)], 1).transpose(1, 2)))
        return hidden

    def across(self, x: Tensor) -> list[Tensor]:
        """The strongest answer of each horizontal filter within the last L items: [B, filters, T] of each height."""
        answers = (self.activation(filters(x)) for filters in self.horizontal)
        pooled: list[Tensor] = [max_pool1d(answer, answer.shape[2] - x.shape[2] + self.window, 1) for answer in answers]
        return pooled

    def along(self, x: Tensor) -> list[Tensor]:
        """The last L items weighed by each vertical filter: [B, D x filters, T], or nothing."""
        if self.vertical is None:
            return []
        B, D, _ = x.shape
        weighed: Tensor = self.vertical(x.reshape(B * D, 1, -1))  # [B D, filters, T]
        return [weighed.view(B, -1, weighed.shape[2])]

    def table(self) -> nn.Embedding:
        """Output vectors of all items: the last I rows."""
        return self.inputs if self.outputs is None else self.outputs


def build(config: CaserConfig, context: BuildContext) -> NextItemModel:
    """An untrained model whose weights follow from the seed."""
    network = seeded(lambda: Network(config, context.items), context)
    return NextItemModel(network, context.items, config.max_length, context.device)


def memory(config: CaserConfig, sizes: Sizes) -> float:
    """Bytes, see `peak_bytes`. A position holds 10 numbers for each feature, and 16 D outside of the filters.

    Features are `horizontal` for each of L heights and D for each of the `vertical` filters.
    """
    features = config.horizontal * config.window + config.vertical * config.dim
    kept = 10 * features + 16 * config.dim
    footprint = Footprint(lambda: Network(config, sizes.items), kept, 0.75 * kept, config.max_length)
    return peak_bytes(footprint, config.training, sizes)


@hookimpl
def provide_models() -> list[ModelSpec]:
    """Caser."""
    return [
        ModelSpec(
            name="caser",
            api_version=1,
            config=CaserConfig,
            needs=frozenset({"order"}),
            offers=frozenset({"ranking", "new_users"}),
            source=(
                "Tang and Wang 2018, Personalized Top-N Sequential Recommendation via Convolutional Sequence "
                "Embedding, https://arxiv.org/abs/1809.07426"
            ),
            build=build,
            training="gradient",
            examples="sequences",
            cost="minutes",
            memory=memory,
        )
    ]
