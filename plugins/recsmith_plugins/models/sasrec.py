"""SASRec: a causal Transformer over a user's history; every position predicts the next item.

Differs from Kang and McAuley (2018): trained on whole histories with a softmax instead of one binary negative; keys and
values are normalised like queries; dropout on sublayers but not on attention weights (which would leave the fused
kernel); a learned start token opens every history, so that an empty one has a query of its own; positions count from
the oldest item of the window.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import numpy as np
import torch
from torch import Tensor, nn

from recsmith.contracts.config import Choice, Config
from recsmith.contracts.domains import Categorical, Float, Int, Narrowed
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import BuildContext, ModelSpec
from recsmith.contracts.training import Training
from recsmith_plugins.blocks.dropout import Dropout
from recsmith_plugins.blocks.histories import padded
from recsmith_plugins.blocks.parameters import load_into, state_of
from recsmith_plugins.blocks.transformer import NORMS, Block

if TYPE_CHECKING:
    from recsmith.contracts.data import FloatArray, Requests, State
    from recsmith.contracts.training import Batch

CHUNK = 256  # requests scored at once


class SASRecConfig(Config):
    """Settings. `init_std` is the deviation of the first weights."""

    heads: Annotated[int, Int(1, 4)] = 2
    head_dim: Annotated[int, Int(8, 64, log=True)] = 32  # the width D is heads x head_dim
    blocks: Annotated[int, Int(1, 4)] = 2
    max_length: Annotated[int, Int(20, 400, log=True)] = 100  # T, items of a history that are looked at
    dropout: Annotated[float, Float(0.0, 0.6)] = 0.3
    expansion: Annotated[int, Int(1, 4)] = 1  # hidden width of the feed-forward layers, in D
    activation: Annotated[str, Categorical(("relu", "gelu", "silu"))] = "gelu"
    norm: Annotated[str, Categorical(("layer", "rms"))] = "layer"
    norm_first: Annotated[bool, Categorical((True, False))] = True  # before or after each sublayer
    tied: Annotated[bool, Categorical((True, False))] = True  # one item table for inputs and outputs
    init_std: Annotated[float, Float(0.005, 0.2, log=True)] = 0.02
    training: Annotated[
        Training,
        Narrowed({"learning_rate": Float(2e-4, 2e-2, log=True), "batch_size": Int(16, 256, log=True)}),
    ] = Training(batch_size=32, learning_rate=2e-3, loss=Choice(name="sampled_softmax", params={"negatives": 512}))


class Network(nn.Module):
    """Item table, positions and blocks."""

    def __init__(self, config: SASRecConfig, items: int) -> None:
        super().__init__()
        D = config.heads * config.head_dim
        self.inputs = nn.Embedding(items + 1, D)  # row 0 opens a history, item i is row i + 1
        self.outputs = None if config.tied else nn.Embedding(items, D)
        self.positions = nn.Embedding(config.max_length, D)
        self.dropout = Dropout(config.dropout)
        self.blocks = nn.ModuleList([Block(config, D) for _ in range(config.blocks)])
        self.norm = NORMS[config.norm](D)
        for module in self.modules():
            if isinstance(module, (nn.Linear, nn.Embedding)):
                nn.init.normal_(module.weight, std=config.init_std)
            if isinstance(module, nn.Linear):
                nn.init.zeros_(module.bias)

    def forward(self, inputs: Tensor) -> Tensor:
        """Inputs [B, T], padded on the right, to hidden states [B, T, D]; no position sees what follows it."""
        x = self.dropout(self.inputs(inputs) + self.positions.weight[: inputs.shape[1]])
        for block in self.blocks:
            x = block(x)
        hidden: Tensor = self.norm(x)
        return hidden

    def table(self) -> Tensor:
        """Output vectors of all items, [I, D]."""
        return self.inputs.weight[1:] if self.outputs is None else self.outputs.weight


class SASRec:
    """Scores are the products of the last position's hidden state with the items' output vectors."""

    def __init__(self, config: SASRecConfig, items: int, device: str) -> None:
        self.config = config
        self.max_length = config.max_length
        self.device = device
        self.module = Network(config, items).to(device)

    def queries(self, batch: Batch) -> Tensor:
        """Hidden states of the positions that have a target, [P, D]."""
        if batch.inputs is None or batch.targets is None:
            raise TypeError("sasrec learns from sequences")
        hidden: Tensor = self.module(batch.inputs)
        return hidden[batch.targets >= 0]

    def logits(self, queries: Tensor, items: Tensor | None) -> Tensor:
        """Queries [P, D] with items [n] or [P, n] -> [P, n]; with None -> [P, I]."""
        table = self.module.table()
        if items is None:
            return queries @ table.T
        if items.ndim == 1:
            return queries @ table[items].T
        return torch.einsum("pd,pnd->pn", queries, table[items])

    def scores(self, requests: Requests) -> FloatArray:
        """Scores of all items, [B, I]."""
        order = np.argsort(requests.histories.lengths, kind="stable")  # similar lengths together: little padding
        scores = np.empty((len(requests), len(self.module.table())), np.float32)
        self.module.eval()
        with torch.inference_mode():
            for start in range(0, len(order), CHUNK):
                rows = order[start : start + CHUNK]
                inputs, last = padded(requests.histories.take(rows), self.max_length)
                hidden = self.module(torch.from_numpy(inputs).to(self.device))
                query = hidden[torch.arange(len(rows)), torch.from_numpy(last)]
                scores[rows] = self.logits(query, None).cpu().numpy()
        return scores

    def state(self) -> State:
        """The network's parameters."""
        return state_of(self.module)

    def load(self, state: State) -> None:
        """Take the network's parameters."""
        load_into(self.module, state)


def build(config: SASRecConfig, context: BuildContext) -> SASRec:
    """An untrained model whose weights follow from the seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(context.seed)
        return SASRec(config, context.items, context.device)


@hookimpl
def provide_models() -> list[ModelSpec]:
    """SASRec."""
    return [
        ModelSpec(
            name="sasrec",
            api_version=1,
            config=SASRecConfig,
            needs=frozenset({"order"}),
            offers=frozenset({"ranking", "new_users"}),
            source=(
                "Kang and McAuley 2018, Self-Attentive Sequential Recommendation, https://arxiv.org/abs/1808.09781"
            ),
            build=build,
            training="gradient",
            examples="sequences",
            cost="minutes",
        )
    ]
