"""Gradient training as a generator: the model is usable, and everything resumable, after every epoch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch

from recsmith.contracts.data import State
from recsmith.contracts.errors import NotFiniteError
from recsmith.training.batches import make_examples
from recsmith.training.objective import Lists, Objective, Ratings, SeenItems
from recsmith.training.optimizers import clip, gradients, load_optimizers, make_optimizers, optimizer_arrays
from recsmith.training.tasks import TaskExamples, TaskObjective

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from recsmith.contracts.data import Interactions
    from recsmith.contracts.models import GradientModel, SequenceModel
    from recsmith.contracts.plugins import BuildContext
    from recsmith.contracts.plugins import Examples as ExampleKind
    from recsmith.contracts.tasks import Tasks
    from recsmith.contracts.training import Schedule, Training
    from recsmith.inference.adapt import AdaptedModel
    from recsmith.training.batches import EpochBatches, Examples

POINTS = 8  # learning-rate factors recorded in each epoch


@dataclass(frozen=True, eq=False)
class EpochDone:
    """One epoch is over; the model may be used until the next is asked for.

    `observe` tells a schedule the validation score (higher is better) before the next epoch and before `state`.
    `state` is all that `epochs` needs beside the model's own state to go on as if never stopped.
    """

    epoch: int  # from 1
    loss: float | None  # mean over the epoch's positives, without the l1 penalty; None for a closed form
    factors: tuple[float, ...]  # learning-rate factors at the middles of POINTS equal stretches
    observe: Callable[[float], None]
    state: Callable[[], State]


def epochs(
    model: GradientModel,
    training: Training,
    examples: ExampleKind,
    interactions: Interactions,
    context: BuildContext,
    *,
    resume: State | None = None,
    factors: Sequence[Sequence[float]] | None = None,
    total_epochs: int | None = None,
) -> Iterator[EpochDone]:
    """Train epoch by epoch.

    Every epoch draws its order, negatives and dropout from (context.seed, epoch) alone, so no generator state is kept.

    Args:
        model: is changed in place; to resume, load its own state first.
        training: the settings.
        examples: what the model learns from.
        interactions: the training rows.
        context: builds loss and schedule; tells seed and device.
        resume: `EpochDone.state()` of the last epoch that was done.
        factors: recorded learning-rate factors of each epoch, replayed instead of the schedule.
        total_epochs: planned epochs; by default as many as `factors`, else `training.epochs`.

    Raises:
        NotFiniteError: a loss is NaN or infinite.
    """
    total = total_epochs or (len(factors) if factors else training.epochs)
    schedule = Replay(factors, total) if factors else cast("Schedule", context.part("schedules", training.schedule))
    objective: Objective | TaskObjective
    source: Examples
    if examples == "tasks":
        learner = cast("AdaptedModel", model)
        objective = _outer(learner, training, interactions, context)
        sampler = context.part("task_samplers", cast("Tasks", learner.tasks).sampler)
        source = TaskExamples(learner, objective, sampler, interactions, training.batch_size)
    else:
        objective = _objective(model, training, examples, interactions, context)
        length = cast("SequenceModel", model).max_length if examples == "sequences" else None
        source = make_examples(
            examples, interactions, batch_size=training.batch_size, device=context.device, length=length
        )
    trainer = Trainer(model, training, schedule, objective, total)
    if hasattr(model, "graph"):
        model.graph(interactions)
    for number in range(trainer.load(resume) + 1, total + 1):
        yield trainer.epoch(source, context.seed, number)


def _objective(
    model: GradientModel, training: Training, examples: ExampleKind, interactions: Interactions, context: BuildContext
) -> Objective:
    loss = context.part("losses", training.loss)
    if context.ratings is not None:
        return Objective(model, Ratings(loss), training)
    seen = SeenItems(interactions, context.device) if examples == "pairs" else None
    return Objective(model, Lists(loss, interactions.items, seen), training)


def _outer(model: AdaptedModel, training: Training, interactions: Interactions, context: BuildContext) -> TaskObjective:
    seen = None if context.ratings is not None else SeenItems(interactions, context.device)
    return TaskObjective(model, context.part("losses", training.loss), training, seen)


class Trainer:
    """What stays from epoch to epoch: the optimiser's moments and the schedule's memory."""

    def __init__(
        self, model: GradientModel, training: Training, schedule: Schedule, objective: Any, total: int
    ) -> None:
        self.module = model.module
        self.training = training
        self.schedule = schedule
        self.objective = objective
        self.total = total
        self.pace: Callable[[int], Mapping[str, float]] = getattr(model, "pace", lambda _: {})
        self.begin: Callable[[int, int], None] = getattr(model, "begin", lambda *_: None)
        self.optimizers = make_optimizers(training, model.module, self.pace(1))
        self.groups = [group for optimizer in self.optimizers for group in optimizer.param_groups]
        self.device = next(model.module.parameters()).device
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=training.precision == "float16")
        self.scaler.scale(torch.zeros((), device=self.device))  # it has no factor before its first use

    def epoch(self, source: Examples, seed: int, number: int) -> EpochDone:
        """Run one epoch and leave the module in evaluation mode."""
        with torch.random.fork_rng(devices=[self.device] if self.device.type == "cuda" else []):
            stream = np.random.SeedSequence([seed, number]).generate_state(2)
            torch.manual_seed(int(stream[0]))  # dropout
            generator = torch.Generator(self.device).manual_seed(int(stream[1]))  # negatives
            self.module.train()
            self.begin(number, self.total)
            loss = self._steps(source.epoch(seed, number), number, generator)
            self.module.eval()
        points = tuple(self._factor(number, (point + 0.5) / POINTS) for point in range(POINTS))
        return EpochDone(number, loss, points, self.schedule.observe, lambda: self._state(number))

    def _steps(self, epoch: EpochBatches, number: int, generator: torch.Generator) -> float:
        """Step through the batches; every positive weighs the same, whatever the size of its batch."""
        every = self.training.accumulate
        scale = epoch.steps / max(epoch.positives, 1) / every
        total = 0.0
        paces = self._paces(number)
        for step, batch in enumerate(epoch.batches):
            if step % every == 0:
                self._clear(self.training.learning_rate * self._factor(number, step / epoch.steps), paces)
            loss = self.objective.backward(batch, scale * self.scaler.get_scale(), generator)
            if not math.isfinite(loss):
                raise NotFiniteError(
                    f"epoch {number}, step {step + 1} of {epoch.steps}: the loss is {loss}; "
                    f"lower learning_rate ({self.training.learning_rate:g}) or gradient_clip."
                )
            total += loss
            if (step + 1) % every == 0 or step + 1 == epoch.steps:
                self._step()
        return total / max(epoch.positives, 1)

    def _clear(self, rate: float, paces: list[float]) -> None:
        """Begin a step without gradients, at this learning rate."""
        for group, pace in zip(self.groups, paces, strict=True):
            group["lr"] = rate * pace
        self.module.zero_grad(set_to_none=True)

    def _step(self) -> None:
        """Add the l1 penalty's gradient, clip, and step; in half precision not where a gradient overflowed."""
        numbers, dense = gradients(self.module, sparse=self.training.sparse)
        for optimizer in self.optimizers:
            self.scaler.unscale_(optimizer)
        for parameter in dense:
            if parameter.grad is not None:
                parameter.grad.add_(parameter.detach().sign(), alpha=self.training.l1)
        clip(numbers, self.training.gradient_clip)
        with torch.sparse.check_sparse_tensor_invariants(enable=False):  # type: ignore[no-untyped-call]  # else torch warns
            for optimizer in self.optimizers:
                self.scaler.step(optimizer)
        if self.training.precision == "float16":
            self.scaler.update()

    def _paces(self, number: int) -> list[float]:
        """The factor of each parameter group in this epoch; a part at 0 is frozen, and costs no gradients."""
        pace = self.pace(number)
        paces = [pace.get(group["part"], 1.0) for group in self.groups]
        for group, factor in zip(self.groups, paces, strict=True):
            for parameter in group["params"]:
                parameter.requires_grad_(factor > 0)
        return paces

    def _factor(self, number: int, share: float) -> float:
        return self.schedule.factor((number - 1 + share) / self.total)

    def _state(self, number: int) -> State:
        values = {"epoch": number, "schedule": self.schedule.state(), "scaler": self.scaler.state_dict()}
        return State(values, optimizer_arrays(self.optimizers, self.module))

    def load(self, state: State | None) -> int:
        """Continue from `state`; the number of epochs that are done."""
        if state is None:
            return 0
        self.schedule.load(state.values["schedule"])
        self.scaler.load_state_dict(state.values["scaler"])
        load_optimizers(self.optimizers, self.module, state.arrays)
        return int(state.values["epoch"])


class Replay:
    """A schedule that follows recorded factors: piecewise linear within an epoch, level beyond its outer points.

    Thus a trace fits an epoch of any number of steps, and a sudden drop between epochs stays sudden.
    """

    def __init__(self, factors: Sequence[Sequence[float]], total: int) -> None:
        self.factors = factors
        self.total = total

    def factor(self, progress: float) -> float:
        """The factor at `progress`, from 0 to 1; past the record, the last one."""
        epoch, share = divmod(progress * self.total + 1e-9, 1.0)
        recorded = self.factors[min(int(epoch), len(self.factors) - 1)]
        middles = (np.arange(len(recorded)) + 0.5) / len(recorded)
        return float(np.interp(share, middles, recorded))

    def observe(self, score: float) -> None:
        """Nothing to hear: the record holds what was heard."""

    def state(self) -> dict[str, float]:
        """Nothing to keep."""
        return {}

    def load(self, state: dict[str, float]) -> None:
        """Nothing to load."""
