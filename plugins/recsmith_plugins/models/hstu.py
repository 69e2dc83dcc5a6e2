"""HSTU: pointwise attention over a history that knows how long ago everything was; predicts the next item.

Differs from Zhai et al. (2024) and from their code:

* Only the moments of the inputs are looked at. In their code the time between an input and another is that from the
  moment of the *target* (which serving does not know) to the other. At an opening, which has no moment of its own, it
  is that of the interaction that follows; it sees but itself, so nothing is told.
* The sum over the visible positions is divided by their number, not by the longest length. The norm that follows undoes
  either; but so the batch around a history has no say, and the first positions are not lost in the norm's epsilon.
* Each head has a bias of its own. Moments are hidden in a share of the training windows (`timeless`), so that a request
  without them can be answered.
* Scores are plain products, not cosines with a temperature; a learned start token opens every history, so that an empty
  one has a query of its own; actions (ratings, kinds of events) are not inputs.
* On a CPU attention weights are made for a few histories at a time, and once more in the backward pass, so that they
  never stand in memory as a whole; what the paper calls stochastic length and its kernels are left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from recsmith.contracts.config import Choice, Config
from recsmith.contracts.domains import Categorical, Float, Int, Narrowed
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import BuildContext, ModelSpec, Sizes
from recsmith.contracts.training import Training
from recsmith_plugins.blocks.dropout import Dropout
from recsmith_plugins.blocks.hstu_layer import CELLS, UNKNOWN, HSTULayer, time_buckets
from recsmith_plugins.blocks.next_item import Footprint, NextItemModel, peak_bytes, seeded

if TYPE_CHECKING:
    from torch import Tensor


class HSTUConfig(Config):
    """Settings. `init_std` is the deviation of the first weights."""

    heads: Annotated[int, Int(1, 4)] = 2
    head_dim: Annotated[int, Int(8, 64, log=True)] = 32  # the width D is heads x head_dim
    blocks: Annotated[int, Int(1, 8)] = 2
    max_length: Annotated[int, Int(20, 400, log=True)] = 100  # T, items of a history that are looked at
    dropout: Annotated[float, Float(0.0, 0.6)] = 0.3
    positions: Annotated[bool, Categorical((True, False))] = True  # vectors of places too, counted from the oldest
    times: Annotated[bool, Categorical((True, False))] = True  # whether moments are looked at, where there are any
    timeless: Annotated[float, Float(0.0, 0.5)] = 0.1  # share of windows without their moments in training
    tied: Annotated[bool, Categorical((True, False))] = True  # one item table for inputs and outputs
    init_std: Annotated[float, Float(0.005, 0.2, log=True)] = 0.02
    recompute: bool = False  # less memory for a third more time; the numbers stay the same
    training: Annotated[
        Training,
        Narrowed({"learning_rate": Float(2e-4, 2e-2, log=True), "batch_size": Int(16, 256, log=True)}),
    ] = Training(batch_size=32, learning_rate=2e-3, loss=Choice(name="sampled_softmax", params={"negatives": 512}))


class Network(nn.Module):
    """Item table, positions and layers.

    Memory: what `peak_bytes` says of D (22 blocks + 18) + T / 4 numbers kept for each position in training (with
    `recompute` D (blocks + 40) + T / 4) and 26 D + T / 4 passing by in scoring, the T / 4 being one byte for the time
    bucket of each pair, and 48 bytes x max(2^20, heads x T^2) for the attention weights of a few histories. About
    1.25 and 1.6 times what is in use: allocators do not give all back at once.
    """

    def __init__(self, config: HSTUConfig, items: int) -> None:
        super().__init__()
        D, T = config.heads * config.head_dim, config.max_length
        self.inputs = nn.Embedding(items + 1, D)  # row 0 opens a history, item i is row i + 1
        self.outputs = None if config.tied else nn.Embedding(items, D)
        self.positions = nn.Embedding(T, D) if config.positions else None
        self.dropout = Dropout(config.dropout)
        self.layers = nn.ModuleList(
            [HSTULayer(config.heads, config.head_dim, T, config.dropout) for _ in range(config.blocks)]
        )
        self.norm = nn.LayerNorm(D)
        self.timed = config.times
        self.timeless = config.timeless
        self.recompute = config.recompute
        for module in self.modules():
            if isinstance(module, (nn.Linear, nn.Embedding)):
                nn.init.normal_(module.weight, std=config.init_std)
            if isinstance(module, nn.Linear) and module.bias is not None:
                nn.init.zeros_(module.bias)

    def forward(self, inputs: Tensor, times: Tensor | None) -> Tensor:
        """Inputs [B, T], padded on the right, and their moments, to hidden states [B, T, D].

        No position sees what follows it.
        """
        x = self.inputs(inputs)
        if self.positions is not None:
            x = x + self.positions(torch.arange(inputs.shape[1], device=inputs.device))
        x = self.dropout(x)
        buckets = None
        if self.timed and times is not None:
            buckets = time_buckets(times)
            if self.training:
                buckets[torch.rand(len(inputs), device=inputs.device) < self.timeless] = UNKNOWN
        for layer in self.layers:
            if self.recompute and torch.is_grad_enabled():
                x = checkpoint(layer, x, buckets, use_reentrant=False)
            else:
                x = layer(x, buckets)
        hidden: Tensor = self.norm(x)
        return hidden

    def table(self) -> nn.Embedding:
        """Output vectors of all items: the last I rows."""
        return self.inputs if self.outputs is None else self.outputs


def build(config: HSTUConfig, context: BuildContext) -> NextItemModel:
    """An untrained model whose weights follow from the seed."""
    network = seeded(lambda: Network(config, context.items), context)
    return NextItemModel(network, context.items, config.max_length, context.device)


def memory(config: HSTUConfig, sizes: Sizes) -> float:
    """See `Network`."""
    D, T = config.heads * config.head_dim, min(config.max_length, sizes.longest + 1)
    layers = config.blocks + 22 if config.recompute else 22 * config.blocks
    footprint = Footprint(
        make=lambda: Network(config, sizes.items),
        kept=D * (layers + 18) + T / 4,
        passing=26 * D + T / 4,
        max_length=config.max_length,
    )
    pieces = 48 * max(CELLS, config.heads * T * T)
    return peak_bytes(footprint, config.training, sizes) + pieces


@hookimpl
def provide_models() -> list[ModelSpec]:
    """HSTU."""
    return [
        ModelSpec(
            name="hstu",
            api_version=1,
            config=HSTUConfig,
            needs=frozenset({"order"}),
            offers=frozenset({"ranking", "new_users"}),
            source=(
                "Zhai et al. 2024, Actions Speak Louder than Words: Trillion-Parameter Sequential Transducers for "
                "Generative Recommendations, https://arxiv.org/abs/2402.17152"
            ),
            build=build,
            training="gradient",
            examples="sequences",
            cost="minutes",
            memory=memory,
        )
    ]
