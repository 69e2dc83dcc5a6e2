"""Variational autoencoders of users: a row over the catalogue, a latent Gaussian, logits of all items."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from recsmith_plugins.blocks.memory import logits_at_once
from recsmith_plugins.blocks.parameters import load_into, state_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from recsmith.contracts.data import FloatArray, Requests, State
    from recsmith.contracts.plugins import Sizes
    from recsmith.contracts.training import Batch, Training

CHUNK = 256  # requests scored at once
LEAST = 1e-12


def unit(rows: Tensor) -> Tensor:
    """Rows [B, I] at length 1; a row of zeros stays one."""
    length: Tensor = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
    return rows / length.clamp_min(LEAST)


def log_density(x: Tensor, mean: Tensor | float, log_variance: Tensor | float) -> Tensor:
    """Log density of each element of x under a normal distribution of its own, in the shape of x."""
    log_variance = torch.as_tensor(log_variance, dtype=x.dtype, device=x.device)
    return -0.5 * (math.log(2 * math.pi) + log_variance + (x - mean).square() * torch.exp(-log_variance))


def divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL divergence of normal distributions [B, L] from standard ones, summed over the latent elements: [B]."""
    return 0.5 * (mean.square() + log_variance.exp() - 1.0 - log_variance).sum(1)


class RowNetwork(Protocol):
    """What a network must do. L is the width of the latent Gaussian, D that of what the output layer reads."""

    output: nn.Linear  # [D] -> [I]

    def encode(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Rows [B, I], 1 where the user has the item -> mean and log variance of the latent Gaussian, [B, L] each."""
        ...

    def decode(self, latent: Tensor) -> Tensor:
        """Latent vectors [B, L] -> what the output layer reads, [B, D]."""
        ...

    def term(self, rows: Tensor, latent: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
        """The weighted divergence from the prior, summed over the batch: a scalar."""
        ...

    def begin(self, epoch: int) -> None:
        """Hear that epoch `epoch` begins, from 1."""
        ...

    def pace(self, epoch: int) -> Mapping[str, float]:
        """As that of a `PacedModel`."""
        ...


class RowModel:
    """Scores are the logits of the mean of the latent Gaussian that follows from a request's history.

    `RegularisedModel`, `StagedModel` and `PacedModel` of the contracts. Repeats in a history have no say, nor has a
    user's number: a new user is served as one of training is. An empty history is a row of zeros.
    """

    def __init__(self, network: nn.Module, items: int, device: str) -> None:
        self.module: Any = network.to(device)
        self.items = items
        self.device = device

    def begin(self, epoch: int, _: int) -> None:
        """Tell the network which epoch begins, as a count from 1: a refit of fewer epochs goes through the same."""
        self.module.begin(epoch)

    def pace(self, epoch: int) -> Mapping[str, float]:
        """The network's own."""
        paces: Mapping[str, float] = self.module.pace(epoch)
        return paces

    def queries(self, batch: Batch) -> Tensor:
        """The decoded latent vector of each positive's user, [P, D]."""
        return self.regularised(batch)[0]

    def regularised(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """What `queries` gives, and the weighted divergence from the prior summed over the batch's users."""
        if batch.rows is None or batch.position_user is None:
            raise TypeError("an autoencoder of users learns from user_rows")
        mean, log_variance = self._encoded(batch.rows)
        latent = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
        term = self.module.term(batch.rows, latent, mean, log_variance)
        return self.module.decode(latent)[batch.position_user], term

    def _encoded(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_variance = self.module.encode(rows)
        return mean.float(), log_variance.float()

    def logits(self, queries: Tensor, items: Tensor | None) -> Tensor:
        """Queries [P, D] with items [n] or [P, n] -> [P, n]; with None -> [P, I]."""
        output: nn.Linear = self.module.output
        weight: Tensor = output.weight
        bias: Tensor = output.bias
        if items is not None and items.ndim > 1:
            return torch.einsum("pd,pnd->pn", queries, weight[items]) + bias[items]
        if items is not None:
            weight, bias = weight[items], bias[items]
        distinct, place = _runs(queries)
        return (distinct @ weight.T + bias)[place]

    def scores(self, requests: Requests) -> FloatArray:
        """Scores of all items, [B, I]."""
        rows = requests.histories.matrix(self.items)
        scores = np.empty((len(requests), self.items), np.float32)
        self.module.eval()
        with torch.inference_mode():
            for start in range(0, len(requests), CHUNK):
                taken = torch.from_numpy(rows[start : start + CHUNK].toarray()).to(self.device)
                hidden = self.module.decode(self._encoded(taken)[0])
                scores[start : start + CHUNK] = self.module.output(hidden).cpu().numpy()
        return scores

    def state(self) -> State:
        """The network's parameters."""
        return state_of(self.module)

    def load(self, state: State) -> None:
        """Take the network's parameters."""
        load_into(self.module, state)


def _runs(queries: Tensor) -> tuple[Tensor, Tensor]:
    """The first of each run of equal queries, [R, D], and the run of each query, [P].

    Positives come user by user, so a run is a user: the product with the output layer is computed once for each.
    """
    differs = (queries[1:] != queries[:-1]).any(1)
    first = torch.cat([differs.new_ones(min(len(queries), 1)), differs])
    return queries[first], first.cumsum(0) - 1


def row_memory(parameters: int, decoder: int, D: int, training: Training, sizes: Sizes) -> float:
    """Bytes at most, at the peak of learning and scoring: the sum of these.

    * 32 for each parameter (itself, gradient, two moments, kept states) and 12 more for each of the output layer's
    * for each user of a batch, 40 x I (its row, scaled and thinned out; the same of the batch before)
    * for each positive of a batch, 64 + 20 x D (its query and the gradients of it); there are as many as in the largest
      batch that chance makes likely, five standard deviations above the mean
    * 40 for each logit that is judged at once
    * 48 for each interaction (the rows as sparse matrices), and 12 x I for each of 256 requests that are scored, and
      their scores (32 MB, twice)

    Args:
        parameters: numbers that are learnt.
        decoder: those of them in the output layer.
        D: width of what the output layer reads.
        training: the settings.
        sizes: of the training rows.
    """
    users = min(training.batch_size, sizes.users)
    mean = users * sizes.interactions / max(sizes.users, 1)
    likely = mean + 5 * (mean * sizes.longest) ** 0.5
    positives = min(users * min(sizes.longest, sizes.items), sizes.interactions, likely)
    learning = (
        32 * parameters
        + 12 * decoder
        + 40 * users * sizes.items
        + positives * (64 + 20 * D)
        + 40 * logits_at_once(training, sizes.items)
    )
    return float(learning + 48 * sizes.interactions + 12 * CHUNK * sizes.items + (64 << 20))
