"""Learning to adapt: few-shot tasks made of the training users' histories, and the outer loss over blocks of them.

A whole block is adapted at once by `torch.func.vmap`; no loop over tasks. Gradients of second order flow through the
adaptation unless the meta-learner stops them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch

from recsmith.contracts.tasks import Shots, TaskUsers
from recsmith.inference.adapt import Head
from recsmith.training.batches import EpochBatches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor

    from recsmith.contracts.data import BoolArray, FloatArray, Interactions, LongArray
    from recsmith.contracts.tasks import OuterMetaLearner, Params, Tasks, TaskSampler
    from recsmith.contracts.training import Draw, Loss, RatingLoss, Training
    from recsmith.inference.adapt import AdaptedModel
    from recsmith.training.objective import SeenItems

USERS_AT_ONCE = 256  # whose histories are summed up, or judged, at a time


@dataclass(frozen=True, eq=False)
class TaskBatch:
    """B tasks on the model's device: items, values and weights of their supports [B, S] and queries [B, Q]."""

    user: Tensor  # [B] int64
    support: tuple[Tensor, Tensor, Tensor]
    query: tuple[Tensor, Tensor, Tensor]


class TaskExamples:
    """Tasks of the training users; an epoch draws as many as there are users with two interactions."""

    def __init__(
        self, model: AdaptedModel, objective: TaskObjective, sampler: TaskSampler, interactions: Interactions, size: int
    ) -> None:
        self.model = model
        self.objective = objective
        self.sampler = sampler
        self.histories = interactions.histories
        self.size = size  # B
        self.steps = max(1, -(-int((self.histories.lengths > 1).sum()) // size))

    @property
    def tasks(self) -> Tasks:
        """How they are made."""
        return cast("Tasks", self.model.tasks)

    def epoch(self, seed: int, number: int) -> EpochBatches:
        """Blocks of tasks; what is known of the users when they are drawn is of the epoch's beginning."""
        ground = _Ground(self, seed, number)
        users = TaskUsers(self.histories.lengths, lambda: ground.vectors, lambda: ground.losses)

        def blocks() -> Iterator[TaskBatch]:
            for step in range(self.steps):
                drawn = np.random.SeedSequence([seed, number, step]).generate_state(2)
                user = self.sampler.draw(users, self.size, seed=int(drawn[0]))
                yield self.block(user, np.random.default_rng(int(drawn[1])))

        return EpochBatches(self.steps, self.steps * self.size, cast("Any", blocks()))

    def block(self, user: LongArray, rng: np.random.Generator) -> TaskBatch:
        """The tasks of these users."""
        tasks, histories = self.tasks, self.histories
        start, length = histories.indptr[user], histories.lengths[user]
        support = _sizes(tasks, np.minimum(tasks.support, length - 1), rng)
        place = np.arange(int(length.max()))  # of an interaction in its history
        later = rng.random((len(user), len(place)))
        first = np.zeros(len(user), np.int64)
        if tasks.taken == "window":
            first = rng.integers(0, length - support)
        if tasks.taken != "random":
            within = (place >= first[:, None]) & (place < (first + support)[:, None])
            later = np.where(within, -1.0, np.where(place < first[:, None], 2.0, later))
        later[place >= length[:, None]] = 3.0
        order = np.argsort(later, axis=1, kind="stable")[:, : tasks.support + tasks.query]
        usable = np.minimum(length - first, support + tasks.query)
        step = np.arange(tasks.support)
        query = support[:, None] + np.arange(tasks.query)
        picked = np.take_along_axis(order, np.minimum(query, order.shape[1] - 1), axis=1)
        return TaskBatch(
            torch.from_numpy(user).to(self.model.device),
            self._taken(start, order[:, : tasks.support], step < support[:, None]),
            self._taken(start, picked, query < usable[:, None]),
        )

    def _taken(self, start: LongArray, place: LongArray, real: BoolArray) -> tuple[Tensor, Tensor, Tensor]:
        """Items, values and weights at these places of histories; padding where it is not real."""
        real = real[:, : place.shape[1]]
        row = np.where(real, start[:, None] + place, 0)
        items = np.where(real, self.histories.item_num[row], 0).astype(np.int64)
        weight = real.astype(np.float32)
        rated = self.model.ratings is not None and self.histories.value is not None
        values = self.histories.value[row] * weight if rated and self.histories.value is not None else weight.copy()
        items_, values_, weight_ = (torch.from_numpy(part).to(self.model.device) for part in (items, values, weight))
        return items_, values_, weight_


def _sizes(tasks: Tasks, most: LongArray, rng: np.random.Generator) -> LongArray:
    """The size of each support, at most `most` [B]: that, or from 0 up so that ln(1 + size) is about uniform."""
    if tasks.size == "fixed":
        return most
    drawn: LongArray = np.floor(np.exp(rng.random(len(most)) * np.log(most + 2.0))).astype(np.int64)
    return drawn - 1


class _Ground:
    """What a task sampler may ask of the users at the beginning of an epoch, computed when it first asks."""

    def __init__(self, examples: TaskExamples, seed: int, number: int) -> None:
        self.examples = examples
        self.seed = [seed, number, 1 << 31]

    @cached_property
    def vectors(self) -> FloatArray:
        """Means of the inputs of what each user took, [U, F]."""
        histories, model = self.examples.histories, self.examples.model.model
        with torch.no_grad():
            inputs = model.inputs(None).cpu().numpy()
        sums = histories.matrix(len(inputs)) @ inputs
        return np.asarray(sums / np.maximum(histories.lengths, 1)[:, None], np.float32)

    @cached_property
    def losses(self) -> FloatArray:
        """The loss of a query of each user after adaptation, [U]; 0 for those without."""
        rng = np.random.default_rng(self.seed)
        found = np.zeros(len(self.examples.histories), np.float32)
        users = np.flatnonzero(self.examples.histories.lengths > 1)
        generator = torch.Generator(self.examples.model.device).manual_seed(int(rng.integers(1 << 31)))
        for at in range(0, len(users), USERS_AT_ONCE):
            user = users[at : at + USERS_AT_ONCE]
            block = self.examples.objective.block(self.examples.block(user, rng), generator)
            with torch.no_grad():
                found[user] = block.query_loss(block.adapted()).cpu().numpy()
        return found


class TaskObjective:
    """The outer loss of a block of tasks.

    To rank, a query is judged as the model's loss judges any positives: against negatives that its sampler draws, or
    against the whole catalogue; drawn items that the user has are accidental hits.
    """

    def __init__(
        self, model: AdaptedModel, loss: Loss | RatingLoss, training: Training, seen: SeenItems | None
    ) -> None:
        self.model = model
        self.loss: Any = loss
        self.seen = seen
        low = training.precision != "float32"
        device = torch.device(model.device).type
        self.precision = partial(torch.autocast, device, getattr(torch, training.precision), enabled=low)

    def backward(self, batch: TaskBatch, scale: float, generator: torch.Generator) -> float:
        """Add the gradients of `scale` times the summed loss of the block's tasks; return that sum."""
        with self.precision():
            block = self.block(batch, generator)
            learner = self.model.learner
            if hasattr(learner, "outer"):
                loss = cast("OuterMetaLearner", learner).outer(block)
            else:
                loss = block.query_loss(block.adapted()).mean()
        loss = loss * len(batch.user)
        (loss * scale).backward()  # type: ignore[no-untyped-call]
        return float(loss.detach())

    def block(self, batch: TaskBatch, generator: torch.Generator) -> Block:
        """The block as the meta-learner sees it."""
        head = Head.of(self.model.model, self.model.learner)
        items, values, weight = batch.query
        query = Shots(self.model.model.inputs(items), values, weight, ranks=self.seen is not None)
        judged = self._ratings(head, query) if self.seen is None else self._lists(head, query, batch, generator)
        return Block(self.model, head, self.model.shots(*batch.support), query, judged)

    def _ratings(self, head: Head, query: Shots) -> Callable[[Params], Tensor]:
        """Judges ratings [B, Q]."""

        def judged(params: Params) -> Tensor:
            predicted = head.scores(params, query.inputs)
            losses: Tensor = self.loss(predicted.flatten(), query.values.flatten())
            return losses.view_as(predicted)

        return judged

    def _lists(
        self, head: Head, query: Shots, batch: TaskBatch, generator: torch.Generator
    ) -> Callable[[Params], Tensor]:
        """Judges positives [B, Q] against what is drawn now, once for every use of the block."""
        model, loss, items = self.model.model, self.loss, batch.query[0]
        rows, width = items.shape
        if not loss.negatives:
            everything = model.inputs(None)

            def against_all(params: Params) -> Tensor:
                scores = head.scores(params, everything).expand(rows, -1)  # [B, I]
                positive = scores.gather(1, items).flatten()
                others = scores.unsqueeze(1).expand(-1, width, -1).flatten(0, 1)
                return cast("Tensor", loss(positive, others, None)).view(rows, width)

            return against_all
        draw: Draw = loss.sampler.draw(items.flatten(), loss.negatives, shared=loss.shared, generator=generator)
        hits = self.seen.contains(batch.user.repeat_interleave(width), draw.items)  # type: ignore[union-attr]
        others_inputs = model.inputs(draw.items if loss.shared else draw.items.view(rows, -1))

        def against_drawn(params: Params) -> Tensor:
            positive = head.scores(params, query.inputs).flatten()
            others = head.scores(params, others_inputs).expand(rows, -1)  # [B, n], or [B, Q n]
            others = others.repeat_interleave(width, dim=0) if loss.shared else others.view(rows * width, -1)
            return cast("Tensor", loss(positive, others.masked_fill(hits, -torch.inf), draw)).view(rows, width)

        return against_drawn


class Block:
    """A block of tasks (`TaskBlock`)."""

    def __init__(
        self,
        model: AdaptedModel,
        head: Head,
        support: Shots,
        query: Shots,
        judged: Callable[[Params], Tensor],  # the loss of each shot of the query, [B, Q]
    ) -> None:
        self.learner = model.learner
        self.head = head
        self.start = head.start
        self.support = support
        self.query = query
        self.judged = judged

    def adapted(self) -> Params:
        """The learner's answer for every task, with a leading B."""
        return self.head.adapted(self.learner, self.support)

    def read(self, function: Callable[[Tensor, Shots], Tensor]) -> Tensor:
        """`function(scores [S], support)` of every task, under the parameters before adaptation: [B, ...]."""
        support, start = self.support, self.start

        def one(inputs: Tensor, values: Tensor, weight: Tensor) -> Tensor:
            return function(self.head.score(start, inputs), Shots(inputs, values, weight, ranks=support.ranks))

        found: Tensor = torch.func.vmap(one)(support.inputs, support.values, support.weight)
        return found

    def query_loss(self, params: Params) -> Tensor:
        """The training loss of each query, [B]: the mean over its shots."""
        weight = self.query.weight
        return (self.judged(params) * weight).sum(dim=1) / weight.sum(dim=1).clamp_min(1.0)
