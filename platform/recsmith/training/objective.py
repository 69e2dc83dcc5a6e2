"""The training loss of one batch: negatives drawn, accidental hits taken out, gradients piece by piece."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from recsmith.contracts.errors import DataError, PluginError
from recsmith.contracts.training import Draw

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from recsmith.contracts.data import Interactions
    from recsmith.contracts.models import GradientModel
    from recsmith.contracts.training import Batch, Loss, RatingLoss, Training

    Logits = Callable[[Tensor, Tensor | None], Tensor]  # as those of a GradientModel

CELLS = 1 << 21  # logits (or gathered values) computed at once: 8 MB, about what a core's cache holds


class Objective:
    """Computes a loss and leaves its gradients in the model's parameters.

    Where the settings say so the loss of a positive is multiplied by the weight of its event, and matrix products are
    computed in a lower precision; logits and losses are float32 in any case.
    """

    def __init__(self, model: GradientModel, judged: Lists | Ratings, training: Training) -> None:
        self.model: Any = model  # and what else it may be: regularised, propagated, masked
        self.judged = judged
        self.weighted = training.weighted
        device = next(model.module.parameters()).device.type
        low = training.precision != "float32"
        self.precision = partial(torch.autocast, device, getattr(torch, training.precision), enabled=low)

    def backward(self, batch: Batch, scale: float, generator: torch.Generator) -> float:
        """Add the gradients of `scale` times the summed loss of the batch's positives; return that sum.

        The graph is cut at the queries: positions go through the loss piece by piece, so that the logits [P, n] never
        exist as a whole, and the collected gradient of the queries then goes through the model once. Where a model
        hides places itself, the sum is brought to that of all positives.
        """
        share = 1.0
        if hasattr(self.model, "masked"):
            given = len(batch.positives)
            batch = self.model.masked(batch)
            share = given / max(len(batch.positives), 1)
        ahead = self._forward(batch)
        draw = self.judged.draw(batch, generator)
        rows = max(64, CELLS // self.judged.width(ahead.queries.shape[-1]))
        total = torch.zeros((), device=ahead.queries.device)
        for start in range(0, len(batch.positives), rows):
            piece = slice(start, start + rows)
            queries = ahead.queries[piece].requires_grad_()
            loss = self.judged.loss_of(ahead.logits, queries, batch, piece, draw)
            if self.weighted and batch.weights is not None:
                loss = loss * batch.weights[piece]
            loss = loss.sum()
            (loss * (scale * share)).backward()  # type: ignore[no-untyped-call]
            if queries.grad is not None:
                ahead.gathered[piece] = queries.grad
            total += loss.detach()
        return share * (float(total) + ahead.backward(scale * share))

    def _forward(self, batch: Batch) -> Pass:
        """Compute what a loss needs of the model."""
        model, term, table = self.model, None, None
        with self.precision():
            if hasattr(model, "propagate"):
                users, table = model.propagate()
                queries = users[batch.user]
            elif hasattr(model, "regularised"):
                queries, term = model.regularised(batch)
            else:
                queries = model.queries(batch)
        queries = queries.float()
        if table is None:
            return Pass(queries, partial(self._logits, model.logits), term=term)
        items = table.detach().requires_grad_()
        return Pass(queries, partial(self._logits, partial(_products, items)), table=(table, items))

    def _logits(self, of: Logits, queries: Tensor, items: Tensor | None) -> Tensor:
        """Logits as float32, whatever they were computed in."""
        with self.precision():
            return of(queries, items).float()


class Pass:
    """The model's part of a batch, its graph cut: what gathers at the cut goes on into the model in the end, once.

    `queries` [P, D] are detached; each piece of them is a leaf of its own, since the gradient of a slice is as large as
    the whole. `gathered` [P, D] takes their gradients.
    """

    def __init__(
        self,
        root: Tensor,
        logits: Logits,
        *,
        table: tuple[Tensor, Tensor] | None = None,  # of a model that propagates, and the leaf that stands for it
        term: Tensor | None = None,  # the model's own, scalar
    ) -> None:
        self.root = root
        self.logits = logits
        self.table = table
        self.term = term
        self.queries = root.detach()
        self.gathered = torch.zeros_like(self.queries)

    def backward(self, scale: float) -> float:
        """Send the gathered gradients, and that of `scale` times the model's own term, on; return that term."""
        ends: list[tuple[Tensor, Tensor | None]] = [(self.root, self.gathered)]
        if self.table is not None:
            ends.append((self.table[0], self.table[1].grad))
        if self.term is not None:
            ends.append((self.term, torch.full_like(self.term, scale)))
        live = [(root, gradient) for root, gradient in ends if root.requires_grad]  # the others' parts are frozen
        if live:
            torch.autograd.backward([root for root, _ in live], [gradient for _, gradient in live])
        return 0.0 if self.term is None else float(self.term.detach())


def _products(table: Tensor, queries: Tensor, items: Tensor | None) -> Tensor:
    """Products of queries [P, D] with rows of a table [I, D], as `GradientModel.logits`."""
    if items is None:
        return queries @ table.T
    return queries @ table[items].T if items.ndim == 1 else torch.einsum("pd,pnd->pn", queries, table[items])


class Lists:
    """Judges the logits of positives against those of other items.

    `seen`, for pairs: drawn items that the pair's user has in training count as accidental hits too.
    """

    def __init__(self, loss: Loss, items: int, seen: SeenItems | None) -> None:
        self.loss = loss
        self.items = items
        self.seen = seen

    def draw(self, batch: Batch, generator: torch.Generator) -> Draw | None:
        """The negatives of a batch; None where the whole catalogue is judged."""
        loss = self.loss
        if loss.negatives == 0:
            return None
        if loss.sampler is None:
            raise PluginError(f"the loss wants {loss.negatives} negatives and has no sampler that draws them.")
        return loss.sampler.draw(batch.positives, loss.negatives, shared=loss.shared, generator=generator)

    def width(self, dim: int) -> int:
        """Numbers that are computed for each positive."""
        negatives = self.loss.negatives or self.items
        return negatives if self.loss.shared else negatives * dim

    def loss_of(self, logits: Logits, queries: Tensor, batch: Batch, piece: slice, draw: Draw | None) -> Tensor:
        """The loss of some of the positives."""
        positives = batch.positives[piece]
        positive = logits(queries, positives.unsqueeze(1)).squeeze(1)
        if draw is None:
            return self.loss(positive, logits(queries, None), None)
        part = _part(draw, piece)
        hits = part.items == positives.unsqueeze(1)
        if self.seen is not None:
            hits |= self.seen.contains(batch.user[piece], part.items)
        others = logits(queries, part.items).masked_fill(hits, -torch.inf)
        return self.loss(positive, others, part)


class Ratings:
    """Judges predicted ratings."""

    def __init__(self, loss: RatingLoss) -> None:
        self.loss = loss

    def draw(self, _: Batch, __: torch.Generator) -> Draw | None:
        """Nothing."""
        return None

    def width(self, dim: int) -> int:
        """Numbers that are computed for each positive."""
        return dim

    def loss_of(self, logits: Logits, queries: Tensor, batch: Batch, piece: slice, _: Draw | None) -> Tensor:
        """The loss of some of the ratings.

        Raises:
            DataError: the log has none.
        """
        if batch.values is None:
            raise DataError("the loss judges ratings, and the log has none. Name its rating column as `value`.")
        predicted = logits(queries, batch.positives[piece].unsqueeze(1)).squeeze(1)
        return self.loss(predicted, batch.values[piece])


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
        keys = interactions.histories.rows  # changed in place, for there is one to each interaction
        keys *= interactions.items
        keys += interactions.histories.item_num
        keys.sort()  # a repeat stands twice, which no search minds
        self.keys = torch.from_numpy(keys).to(device)

    def contains(self, users: Tensor, items: Tensor) -> Tensor:
        """Whether each of `users` [P] has each of `items` [n] or [P, n]: [P, n]."""
        wanted = users.unsqueeze(1) * self.items + items
        place = torch.searchsorted(self.keys, wanted).clamp_max(len(self.keys) - 1)
        return self.keys[place] == wanted
