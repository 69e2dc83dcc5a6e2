"""One step of second-order MAML over a block of tasks: all at once by the platform, against a loop over tasks.

    OMP_NUM_THREADS=1 python benchmarks/meta_learning.py [--tasks 256] [--rounds 5]

Both take the gradient of the mean loss of the queries after three inner steps through these steps, in all parameters of
the same small head (the adaptive MLP with one hidden layer of 32) and its items. The loop is what one writes with
`torch.autograd.grad(create_graph=True)`. The gradients are compared before the clock starts. The figure is the ratio of
the best of some rounds in which both take turns.
"""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING

import numpy as np
import torch

from recsmith.contracts.config import Choice
from recsmith.contracts.data import Histories, Interactions
from recsmith.contracts.plugins import RatingScale
from recsmith.contracts.tasks import Tasks
from recsmith.contracts.training import Training
from recsmith.inference.adapt import AdaptedModel, Head
from recsmith.training.tasks import TaskExamples, TaskObjective
from recsmith.wiring.plugins import load_plugins

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from recsmith.training.tasks import Block

ITEMS, HISTORY = 2000, 40


def block_of(tasks: int) -> tuple[AdaptedModel, Block]:
    """A block of tasks of ten shots and sixteen to judge by."""
    registry = load_plugins().registry
    rng = np.random.default_rng(0)
    items = np.concatenate([rng.permutation(ITEMS)[:HISTORY] for _ in range(tasks)]).astype(np.int32)
    values = rng.integers(1, 6, len(items)).astype(np.float32)
    histories = Histories(np.arange(tasks + 1) * HISTORY, items, value=values)
    log = Interactions(histories, tasks, ITEMS, ordered=True)
    context = registry.context(item_counts=log.counts, users=tasks, ratings=RatingScale(3.0, 1.0, 5.0))
    spec = registry.spec("models", "adaptive_mlp")
    model = spec.build(registry.config("models", Choice(name="adaptive_mlp")), context)
    learner = registry.build("meta_learners", Choice(name="maml", params={"steps": 3}), context)
    around = AdaptedModel(model, learner, context, Tasks(support=10, size="fixed", query=16))
    objective = TaskObjective(around, context.part("losses", Choice(name="squared_error")), Training(), None)
    examples = TaskExamples(around, objective, context.part("task_samplers", Choice(name="random")), log, tasks)
    batch = next(iter(examples.epoch(0, 1).batches))
    return around, objective.block(batch, torch.Generator())


def together(model: AdaptedModel, block: Block) -> list[Tensor]:
    """The gradients, all tasks at once."""
    loss = block.query_loss(block.adapted()).mean()
    return list(torch.autograd.grad(loss, list(model.module.parameters()), retain_graph=True, allow_unused=True))


def looped(model: AdaptedModel, block: Block) -> list[Tensor]:
    """The gradients, task by task."""
    head = Head.of(model.model, model.learner)
    total = []
    for task in range(len(block.query.values)):
        params = dict(head.start)
        for _ in range(3):
            scores = head.score(params, block.support.inputs[task])
            error = (scores - block.support.values[task]).square().mean()
            slopes = torch.autograd.grad(error, list(params.values()), create_graph=True)
            params = {name: params[name] - 0.05 * slope for name, slope in zip(params, slopes, strict=True)}
        scores = head.score(params, block.query.inputs[task])
        total.append((scores - block.query.values[task]).square().mean())
    loss = torch.stack(total).mean()
    return list(torch.autograd.grad(loss, list(model.module.parameters()), retain_graph=True, allow_unused=True))


def seconds(run: Callable[[], object]) -> float:
    """Of one call."""
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def main() -> None:
    """Compare and time."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=5)
    settings = parser.parse_args()
    torch.set_num_threads(1)
    model, block = block_of(settings.tasks)
    for one, other in zip(together(model, block), looped(model, block), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-6)
    times = {run: [] for run in (together, looped)}
    for _ in range(settings.rounds):
        for run, taken in times.items():
            taken.append(seconds(lambda run=run: run(model, block)))
    at_once, loop = (min(taken) for taken in times.values())
    figures = f"at once {1e3 * at_once:.1f} ms, one by one {1e3 * loop:.1f} ms"
    print(f"{settings.tasks} tasks: {figures}, {loop / at_once:.1f} times")


if __name__ == "__main__":
    main()
