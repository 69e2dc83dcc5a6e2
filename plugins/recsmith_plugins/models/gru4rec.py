"""GRU4Rec: a gated recurrent unit reads a history item by item; its state after each predicts the next.

Differs from Hidasi et al. (2016, 2018): learnt from whole windows of a history, backwards through all of their steps,
instead of one step of many parallel sessions at a time; negatives come from a sampler, not from the batch, so that
BPR-max and TOP1 are not offered; a linear layer turns the state into an item vector, so that one table may serve inputs
and outputs whatever the widths; no item biases; a start token opens every history, so that an empty one has a query of
its own; AdamW instead of Adagrad with momentum. A window that is no history's first starts from a state of zeros.

Defaults on ml-100k, validation NDCG@10 (mean of 3 epochs, of 2 seeds): .111; with a learning rate of 2e-3 .095, there
with two layers .096, with 256 states .098, with dropout .5 .090.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from torch import nn

from recsmith.contracts.config import Choice, Config
from recsmith.contracts.domains import Categorical, Float, Int, Narrowed
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import BuildContext, ModelSpec, Sizes
from recsmith.contracts.training import Training
from recsmith_plugins.blocks.dropout import Dropout
from recsmith_plugins.blocks.next_item import Footprint, NextItemModel, peak_bytes, seeded

if TYPE_CHECKING:
    from torch import Tensor


class GRU4RecConfig(Config):
    """Settings. `init_std` is the deviation of the item vectors' first elements."""

    dim: Annotated[int, Int(16, 256, log=True)] = 64  # D, of the item vectors
    hidden: Annotated[int, Int(16, 512, log=True)] = 128  # width of the state
    layers: Annotated[int, Int(1, 3)] = 1
    max_length: Annotated[int, Int(20, 400, log=True)] = 100  # T, items of a history that are looked at
    dropout: Annotated[float, Float(0.0, 0.6)] = 0.3  # of the item vectors that are read
    hidden_dropout: Annotated[float, Float(0.0, 0.6)] = 0.0  # of the states, between layers and behind the last
    tied: Annotated[bool, Categorical((True, False))] = True  # one item table for inputs and outputs
    init_std: Annotated[float, Float(0.005, 0.2, log=True)] = 0.05
    training: Annotated[
        Training,
        Narrowed({"learning_rate": Float(2e-4, 2e-2, log=True), "batch_size": Int(16, 256, log=True)}),
    ] = Training(batch_size=32, learning_rate=5e-3, loss=Choice(name="sampled_softmax", params={"negatives": 512}))


class Network(nn.Module):
    """Item table, recurrent layers, and a linear layer from state to item vectors."""

    def __init__(self, config: GRU4RecConfig, items: int) -> None:
        super().__init__()
        self.inputs = nn.Embedding(items + 1, config.dim)  # row 0 opens a history, item i is row i + 1
        self.outputs = None if config.tied else nn.Embedding(items, config.dim)
        self.dropout = Dropout(config.dropout)
        self.hidden_dropout = Dropout(config.hidden_dropout)
        widths = [config.dim] + [config.hidden] * (config.layers - 1)
        self.layers = nn.ModuleList([nn.GRU(width, config.hidden, batch_first=True) for width in widths])
        self.out = nn.Linear(config.hidden, config.dim)
        for module in self.modules():
            if isinstance(module, nn.Embedding):
                nn.init.normal_(module.weight, std=config.init_std)

    def forward(self, inputs: Tensor, times: Tensor | None) -> Tensor:
        """Inputs [B, T], padded on the right, to hidden states [B, T, D]; no position sees what follows it."""
        x = self.dropout(self.inputs(inputs))
        for layer in self.layers:
            x = self.hidden_dropout(layer(x)[0])
        hidden: Tensor = self.out(x)
        return hidden

    def table(self) -> nn.Embedding:
        """Output vectors of all items: the last I rows."""
        return self.inputs if self.outputs is None else self.outputs


def build(config: GRU4RecConfig, context: BuildContext) -> NextItemModel:
    """An untrained model whose weights follow from the seed."""
    network = seeded(lambda: Network(config, context.items), context)
    return NextItemModel(network, context.items, config.max_length, context.device)


def memory(config: GRU4RecConfig, sizes: Sizes) -> float:
    """Bytes, see `peak_bytes`. A position holds 12 numbers for each of a layer's states, and 12 D outside of them."""
    layer = 12 * config.hidden
    kept = config.layers * layer + 12 * config.dim
    footprint = Footprint(lambda: Network(config, sizes.items), kept, kept / 2, config.max_length)
    return peak_bytes(footprint, config.training, sizes)


@hookimpl
def provide_models() -> list[ModelSpec]:
    """GRU4Rec."""
    return [
        ModelSpec(
            name="gru4rec",
            api_version=1,
            config=GRU4RecConfig,
            needs=frozenset({"order"}),
            offers=frozenset({"ranking", "new_users"}),
            source=(
                "Hidasi, Karatzoglou, Baltrunas and Tikk 2016, Session-based Recommendations with Recurrent Neural "
                "Networks, https://arxiv.org/abs/1511.06939; Hidasi and Karatzoglou 2018, Recurrent Neural Networks "
                "with Top-k Gains for Session-based Recommendations, https://arxiv.org/abs/1706.03847"
            ),
            build=build,
            training="gradient",
            examples="sequences",
            cost="minutes",
            memory=memory,
        )
    ]
