"""The model around a causal network: whole histories in, the next item at every position out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from recsmith_plugins.blocks.histories import padded, padded_times
from recsmith_plugins.blocks.memory import BASE, LEARNT, chunk_bytes, logits_at_once
from recsmith_plugins.blocks.parameters import load_into, state_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from recsmith.contracts.data import FloatArray, Requests, State
    from recsmith.contracts.plugins import BuildContext, Sizes
    from recsmith.contracts.training import Batch, Training

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


@dataclass(frozen=True)
class Footprint:
    """What a network holds: its parameters, and numbers (of 4 bytes) for each position that it reads.

    `kept` until the backward pass is over, `passing` at once where it only scores.
    """

    make: Callable[[], nn.Module]
    kept: float
    passing: float
    max_length: int  # T


def peak_bytes(footprint: Footprint, training: Training, sizes: Sizes) -> float:
    """Bytes at most at the peak of learning and of scoring a chunk, beside the log; for `ModelSpec.memory`.

    `LEARNT` for each parameter. Then what is more of the following. In learning, for each of the B T positions of a
    batch `kept` numbers and 128 bytes of indices; 128 bytes for each window; 24 for each logit that the loss judges at
    once. In scoring, for each position of 256 histories `passing` numbers and 64 bytes; three times the bytes of the
    scores.
    """
    with torch.device("meta"):  # shapes without memory
        parameters = sum(parameter.numel() for parameter in footprint.make().parameters())
    T = min(footprint.max_length, sizes.longest + 1)
    windows = sizes.users + sizes.interactions // T
    batch = min(training.batch_size, windows) * T
    judged = logits_at_once(training, sizes.items)
    learning = batch * (4 * footprint.kept + 128) + 128 * windows + 24 * judged
    scoring = min(CHUNK, sizes.users) * T * (4 * footprint.passing + 64) + 3 * chunk_bytes(sizes)
    return BASE + LEARNT * parameters + max(learning, scoring)
