"""The training loss of one batch: negatives drawn, accidental hits taken out, gradients piece by piece."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from recsmith.contracts.errors import PluginError
from recsmith.contracts.training import Draw

if TYPE_CHECKING:
    from torch import Tensor

    from recsmith.contracts.data import Interactions
    from recsmith.contracts.plugins import GradientModel
    from recsmith.contracts.training import Batch, Loss

CELLS = 1 << 21  # logits (or gathered values) computed at once: 8 MB, about what a core's cache holds


class Objective:
    """Computes a loss and leaves its gradients in the model's parameters.

    `seen`, for pairs: drawn items that the pair's user has in training count as accidental hits too.
    """

    def __init__(self, model: GradientModel, loss: Loss, items: int, seen: SeenItems | None) -> None:
        self.model = model
        self.loss = loss
        self.items = items
        self.seen = seen

    def backward(self, batch: Batch, scale: float, generator: torch.Generator) -> float:
        """Add the gradients of `scale` times the summed loss of the batch's positives; return that sum.

        The queries' graph is cut: positions go through the loss piece by piece, so that the logits [P, n] never exist
        as a whole, and the collected gradient of the queries then goes through the model once.
        """
        queries = self.model.queries(batch)
        leaf = queries.detach().requires_grad_()
        draw = self._draw(batch.positives, generator)
        rows = self._rows(queries.shape[-1])
        total = torch.zeros((), device=queries.device)
        for start in range(0, len(leaf), rows):
            piece = slice(start, start + rows)
            loss = self._loss(leaf[piece], batch, piece, draw).sum()
            (loss * scale).backward()  # type: ignore[no-untyped-call]
            total += loss.detach()
        queries.backward(leaf.grad)  # type: ignore[no-untyped-call]
        return float(total)

    def _draw(self, positives: Tensor, generator: torch.Generator) -> Draw | None:
        if self.loss.negatives == 0:
            return None
        if self.loss.sampler is None:
            raise PluginError(f"the loss wants {self.loss.negatives} negatives and has no sampler that draws them.")
        return self.loss.sampler.draw(positives, self.loss.negatives, shared=self.loss.shared, generator=generator)

    def _rows(self, dim: int) -> int:
        negatives = self.loss.negatives or self.items
        width = negatives if self.loss.shared else negatives * dim
        return max(64, CELLS // width)

    def _loss(self, queries: Tensor, batch: Batch, piece: slice, draw: Draw | None) -> Tensor:
        positives = batch.positives[piece]
        positive = self.model.logits(queries, positives.unsqueeze(1)).squeeze(1)
        if draw is None:
            return self.loss(positive, self.model.logits(queries, None), None)
        part = _part(draw, piece)
        hits = part.items == positives.unsqueeze(1)
        if self.seen is not None:
            hits |= self.seen.contains(batch.user[piece], part.items)
        others = self.model.logits(queries, part.items).masked_fill(hits, -torch.inf)
        return self.loss(positive, others, part)


def _part(draw: Draw, piece: slice) -> Draw:
    """The draw for some of the positives."""
    expected = draw.positive_log_expected[piece]
    if draw.items.ndim == 1:
        return replace(draw, positive_log_expected=expected)
    return Draw(draw.items[piece], draw.log_expected[piece], expected)


class SeenItems:
    """Which items each user has in training: a search among sorted keys."""

    def __init__(self, interactions: Interactions, device: str) -> None:
        self.items = interactions.items
        histories = interactions.histories
        keys = np.unique(histories.rows * interactions.items + histories.item_num)
        self.keys = torch.from_numpy(keys).to(device)

    def contains(self, users: Tensor, items: Tensor) -> Tensor:
        """Whether each of `users` [P] has each of `items` [n] or [P, n]: [P, n]."""
        wanted = users.unsqueeze(1) * self.items + items
        place = torch.searchsorted(self.keys, wanted).clamp_max(len(self.keys) - 1)
        return self.keys[place] == wanted
