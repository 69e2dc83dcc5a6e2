"""The model around a causal network: whole histories in, the next item at every position out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from recsmith_plugins.blocks.histories import padded, padded_times
from recsmith_plugins.blocks.parameters import load_into, state_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from recsmith.contracts.data import FloatArray, Requests, State
    from recsmith.contracts.plugins import BuildContext
    from recsmith.contracts.training import Batch

CHUNK = 256  # requests scored at once


class CausalNetwork(Protocol):
    """What a network must do."""

    def __call__(self, inputs: Tensor, times: Tensor | None) -> Tensor:
        """Inputs [B, T] and their moments [B, T] (see `Batch`) to hidden states [B, T, D].

        No position sees what follows it, so padding on the right has no say.
        """
        ...

    def table(self) -> nn.Embedding:
        """Output vectors; those of the I items are its last I rows."""
        ...


class NextItemModel:
    """Scores are the products of the last position's hidden state with the items' output vectors.

    `SequenceModel` of the contracts. An empty history is the start token alone; a user's number has no say.
    """

    def __init__(self, network: nn.Module, items: int, max_length: int, device: str) -> None:
        self.module: Any = network.to(device)
        self.items = items
        self.max_length = max_length  # T
        self.device = device

    def queries(self, batch: Batch) -> Tensor:
        """Hidden states of the positions that have a target, [P, D]."""
        if batch.inputs is None or batch.targets is None:
            raise TypeError("a model of the next item learns from sequences")
        hidden: Tensor = self.module(batch.inputs, batch.times)
        return hidden[batch.targets >= 0]

    def logits(self, queries: Tensor, items: Tensor | None) -> Tensor:
        """Queries [P, D] with items [n] or [P, n] -> [P, n]; with None -> [P, I]."""
        table: nn.Embedding = self.module.table()
        first = table.num_embeddings - self.items
        if items is None:
            return queries @ table.weight[first:].T
        vectors: Tensor = table(items + first)  # through the module, so that its gradient may be sparse
        return queries @ vectors.T if items.ndim == 1 else torch.einsum("pd,pnd->pn", queries, vectors)

    def scores(self, requests: Requests) -> FloatArray:
        """Scores of all items, [B, I]."""
        order = np.argsort(requests.histories.lengths, kind="stable")  # similar lengths together: little padding
        scores = np.empty((len(requests), self.items), np.float32)
        self.module.eval()
        with torch.inference_mode():
            for start in range(0, len(order), CHUNK):
                rows = order[start : start + CHUNK]
                histories = requests.histories.take(rows)
                inputs, last = padded(histories, self.max_length)
                times = padded_times(histories, self.max_length)
                moments = None if times is None else torch.from_numpy(times).to(self.device)
                hidden = self.module(torch.from_numpy(inputs).to(self.device), moments)
                query = hidden[torch.arange(len(rows)), torch.from_numpy(last)]
                scores[rows] = self.logits(query, None).cpu().numpy()
        return scores

    def state(self) -> State:
        """The network's parameters."""
        return state_of(self.module)

    def load(self, state: State) -> None:
        """Take the network's parameters."""
        load_into(self.module, state)


def seeded(make: Callable[[], nn.Module], context: BuildContext) -> nn.Module:
    """An untrained network whose weights follow from the context's seed; torch's own state stays as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(context.seed)
        return make()
