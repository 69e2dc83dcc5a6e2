"""BERT4Rec: a Transformer that sees both sides fills hidden items in; the next item is one hidden at the end.

Differs from Sun et al. (2019): a softmax over sampled items by default, not over all (`loss` may be the full one); no
bias for each item in the output; windows of a history are cut at random, anew in every epoch, where they slide; places
count from the newest item, as in the paper, where histories are padded on the left (`recent`); pre-norm by default;
dropout on sublayers but not on attention weights (which would leave the fused kernel). As in the paper's code some
windows hide their last item only (`last`), which is what serving asks for.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import gelu
from torch.utils.checkpoint import checkpoint

from recsmith.contracts.config import Choice, Config
from recsmith.contracts.domains import Categorical, Float, Int, Narrowed
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import BuildContext, ModelSpec, Sizes
from recsmith.contracts.training import Batch, Training
from recsmith_plugins.blocks.bidirectional import BidirectionalBlock
from recsmith_plugins.blocks.dropout import Dropout
from recsmith_plugins.blocks.next_item import CHUNK, Footprint, NextItemModel, peak_bytes, seeded
from recsmith_plugins.blocks.transformer import NORMS

if TYPE_CHECKING:
    from recsmith.contracts.data import FloatArray, Histories, LongArray, Requests, State


class BERT4RecConfig(Config):
    """Settings. `init_std` is the deviation of the first weights."""

    heads: Annotated[int, Int(1, 4)] = 2
    head_dim: Annotated[int, Int(8, 64, log=True)] = 32  # the width D is heads x head_dim
    blocks: Annotated[int, Int(1, 4)] = 2
    max_length: Annotated[int, Int(20, 400, log=True)] = 100  # T, the place that is asked about included
    hidden: Annotated[float, Float(0.1, 0.8)] = 0.3  # share of the places that are hidden in training
    last: Annotated[float, Float(0.0, 1.0)] = 0.1  # share of the windows where only the last place is hidden
    recent: Annotated[bool, Categorical((True, False))] = True  # places count from the newest item, else the oldest
    dropout: Annotated[float, Float(0.0, 0.6)] = 0.2
    expansion: Annotated[int, Int(1, 4)] = 2  # hidden width of the feed-forward layers, in D
    activation: Annotated[str, Categorical(("relu", "gelu", "silu"))] = "gelu"
    norm: Annotated[str, Categorical(("layer", "rms"))] = "layer"
    norm_first: Annotated[bool, Categorical((True, False))] = True  # before or after each sublayer
    tied: Annotated[bool, Categorical((True, False))] = True  # one item table for inputs and outputs
    init_std: Annotated[float, Float(0.005, 0.2, log=True)] = 0.06
    recompute: bool = False  # less memory for a third more time; the numbers stay the same
    training: Annotated[
        Training,
        Narrowed({"learning_rate": Float(2e-4, 4e-3, log=True), "batch_size": Int(16, 256, log=True)}),
    ] = Training(
        batch_size=32,
        learning_rate=2e-3,  # at 0.004 it never got beyond popularity on ml-100k
        loss=Choice(name="sampled_softmax", params={"negatives": 512}),
        patience=10,  # the first ten epochs bring little
        epochs=100,
    )


class Network(nn.Module):
    """Item table, positions, blocks and the layer before the output."""

    def __init__(self, config: BERT4RecConfig, items: int) -> None:
        super().__init__()
        D = config.heads * config.head_dim
        self.inputs = nn.Embedding(items + 2, D)  # row 0 is the mask, row 1 the padding, item i is row i + 2
        self.outputs = None if config.tied else nn.Embedding(items, D)
        self.positions = nn.Embedding(config.max_length, D)
        self.dropout = Dropout(config.dropout)
        self.blocks = nn.ModuleList([BidirectionalBlock(config, D) for _ in range(config.blocks)])
        self.norms = nn.ModuleList([NORMS[config.norm](D), NORMS[config.norm](D)])
        self.head = nn.Linear(D, D)
        self.recent = config.recent
        self.recompute = config.recompute
        for module in self.modules():
            if isinstance(module, (nn.Linear, nn.Embedding)):
                nn.init.normal_(module.weight, std=config.init_std)
            if isinstance(module, nn.Linear):
                nn.init.zeros_(module.bias)

    def forward(self, inputs: Tensor) -> Tensor:
        """Inputs [B, T] as `masked` gives them, padded on the right, to hidden states [B, T, D]."""
        real = inputs != 0
        back = real.flip(1).cumsum(1).flip(1) if self.recent else real.cumsum(1)  # from 1
        rows = (inputs + 1) % self.inputs.num_embeddings
        x = self.dropout(self.inputs(rows) + self.positions((back - 1).clamp_min(0)))
        for block in self.blocks:
            if self.recompute and torch.is_grad_enabled():
                x = checkpoint(block, x, real, use_reentrant=False)
            else:
                x = block(x, real)
        hidden: Tensor = self.norms[1](gelu(self.head(self.norms[0](x))))
        return hidden

    def table(self) -> nn.Embedding:
        """Output vectors of all items: the last I rows."""
        return self.inputs if self.outputs is None else self.outputs


class BERT4Rec:
    """Fills in hidden items; a request is the last T - 1 items of a history and a hidden one at its end.

    An empty history is the hidden one alone; a user's number has no say.

    Memory: what `peak_bytes` says of D ((18 + 5 expansion) blocks + 24 + 4 expansion) numbers kept for each position in
    training (with `recompute` D (blocks + 60 + 14 expansion)) and D (24 + 6 expansion) passing by in scoring. That is
    up to twice what is in use at once: allocators do not give all back.
    """

    def __init__(self, config: BERT4RecConfig, context: BuildContext) -> None:
        network = seeded(lambda: Network(config, context.items), context)
        self.products = NextItemModel(network, context.items, config.max_length, context.device)
        self.module: Any = self.products.module
        self.max_length = config.max_length
        self.hidden = config.hidden
        self.last = config.last
        self.items = context.items
        self.device = context.device

    def masked(self, batch: Batch) -> Batch:
        """The windows with some places hidden, from torch's state.

        `inputs` are the items + 1, I + 1 at hidden places, 0 as padding; `targets` are left at hidden places only, and
        `positives` are those.
        """
        items = batch.targets
        if items is None:
            raise TypeError("bert4rec learns from sequences")
        real = items >= 0
        hidden = self._hide(real)
        inputs = torch.where(real, items + 1, 0).masked_fill(hidden, self.items + 1)
        kept = hidden[real]  # [P]
        return replace(
            batch,
            positives=items[hidden],
            inputs=inputs,
            targets=torch.where(hidden, items, -1),
            position_user=None if batch.position_user is None else batch.position_user[kept],
            values=None if batch.values is None else batch.values[kept],
            weights=None if batch.weights is None else batch.weights[kept],
            times=None,
        )

    def _hide(self, real: Tensor) -> Tensor:
        """Which of the real places [B, T] to hide: at least one in each row."""
        draws = torch.rand(real.shape, device=real.device).masked_fill(~real, 2.0)
        some = (draws < self.hidden).scatter(1, draws.argmin(1, keepdim=True), value=True)
        end = torch.arange(real.shape[1], device=real.device) == real.sum(1, keepdim=True) - 1
        return torch.where(torch.rand((len(real), 1), device=real.device) < self.last, end, some)

    def queries(self, batch: Batch) -> Tensor:
        """Hidden states at the hidden places of a batch from `masked`, [P, D]."""
        if batch.inputs is None or batch.targets is None:
            raise TypeError("bert4rec learns from sequences")
        states: Tensor = self.module(batch.inputs)
        return states[batch.targets >= 0]

    def logits(self, queries: Tensor, items: Tensor | None) -> Tensor:
        """Queries [P, D] with items [n] or [P, n] -> [P, n]; with None -> [P, I]."""
        return self.products.logits(queries, items)

    def scores(self, requests: Requests) -> FloatArray:
        """Scores of all items, [B, I]."""
        order = np.argsort(requests.histories.lengths, kind="stable")  # similar lengths together: little padding
        scores = np.empty((len(requests), self.items), np.float32)
        self.module.eval()
        with torch.inference_mode():
            for start in range(0, len(order), CHUNK):
                rows = order[start : start + CHUNK]
                inputs, last = self._asking(requests.histories.take(rows))
                states = self.module(torch.from_numpy(inputs).to(self.device))
                query = states[torch.arange(len(rows)), torch.from_numpy(last)]
                scores[rows] = self.logits(query, None).cpu().numpy()
        return scores

    def _asking(self, histories: Histories) -> tuple[LongArray, LongArray]:
        """The last T - 1 items of each history and a hidden one, padded on the right: [B, T], and its place, [B]."""
        recent = histories.last(self.max_length - 1)
        last = recent.lengths
        inputs = np.zeros((len(last), int(last.max()) + 1), np.int64)
        inputs[recent.rows, np.arange(len(recent.item_num)) - recent.indptr[recent.rows]] = recent.item_num + 1
        inputs[np.arange(len(last)), last] = self.items + 1
        return inputs, last

    def state(self) -> State:
        """The network's parameters."""
        return self.products.state()

    def load(self, state: State) -> None:
        """Take the network's parameters."""
        self.products.load(state)


def build(config: BERT4RecConfig, context: BuildContext) -> BERT4Rec:
    """An untrained model whose weights follow from the seed."""
    return BERT4Rec(config, context)


def memory(config: BERT4RecConfig, sizes: Sizes) -> float:
    """See `BERT4Rec`."""
    D = config.heads * config.head_dim
    block = 18 + 5 * config.expansion
    blocks = config.blocks + 2 * block if config.recompute else block * config.blocks
    footprint = Footprint(
        make=lambda: Network(config, sizes.items),
        kept=D * (blocks + 24 + 4 * config.expansion),
        passing=D * (24 + 6 * config.expansion),
        max_length=config.max_length,
    )
    return peak_bytes(footprint, config.training, sizes)


@hookimpl
def provide_models() -> list[ModelSpec]:
    """BERT4Rec."""
    return [
        ModelSpec(
            name="bert4rec",
            api_version=1,
            config=BERT4RecConfig,
            needs=frozenset({"order"}),
            offers=frozenset({"ranking", "new_users"}),
            source=(
                "Sun et al. 2019, BERT4Rec: Sequential Recommendation with Bidirectional Encoder Representations from "
                "Transformer, https://arxiv.org/abs/1904.06690"
            ),
            build=build,
            training="gradient",
            examples="sequences",
            cost="minutes",
            memory=memory,
        )
    ]
