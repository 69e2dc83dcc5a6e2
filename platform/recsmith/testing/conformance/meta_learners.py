"""What every plugin of the kind meta_learners promises."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from torch.func import vmap

from recsmith.contracts.tasks import MetaLearner, Params, Shots
from recsmith.inference.adapt import Head
from recsmith.testing.conformance.chance import other_random_states
from recsmith.testing.conformance.subject import bits, expect, unchanged

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from recsmith.testing.conformance.subject import Subject

ITEMS, WIDTH, SIZE, USERS = 12, 4, 6, 5
STEPS, TASKS = 150, 32  # of an outer loop that teaches a meta-learner what it learns, and in each of them
CLOSE = 1e-3  # relative; one user alone and many together are not computed in the same order


class _Linear:
    """A model whose scores are linear in its head: item vectors x weight, and, if `rich`, x context, and an offset."""

    def __init__(self, *, rich: bool) -> None:
        generator = torch.Generator().manual_seed(7)
        self.vectors = torch.randn(ITEMS, WIDTH, generator=generator)
        self.read = 0.3 * torch.randn(WIDTH, 2, generator=generator)  # how a context tells on an item
        weight = 0.3 * torch.randn(WIDTH, generator=generator)
        parts = {"output.weight": weight, "output.bias": torch.tensor(0.2), "context": torch.tensor([0.1, -0.2])}
        self.start: Params = parts if rich else {"output": weight}

    def inputs(self, items: Tensor | None) -> Tensor:
        return self.vectors if items is None else self.vectors[items]

    def head(self) -> Params:
        return self.start

    def head_score(self, params: Params, inputs: Tensor) -> Tensor:
        if "output" in params:
            return inputs @ params["output"]
        return inputs @ params["output.weight"] + inputs @ self.read @ params["context"] + params["output.bias"]


@dataclass(frozen=True)
class _Case:
    """A meta-learner around a head."""

    label: str
    learner: MetaLearner
    model: _Linear
    learnt: torch.nn.Module | None

    @property
    def head(self) -> Head:
        return Head.of(self.model, self.learner)

    def support(self, seed: int = 0, size: int = SIZE) -> Shots:
        """Interactions of a user whose own head is known; no noise: they can be explained whole."""
        generator = torch.Generator().manual_seed(seed)
        inputs = self.model.vectors[torch.randperm(ITEMS, generator=generator)[:size]]
        own = {
            name: tensor + torch.randn(tensor.shape, generator=generator) for name, tensor in self.model.start.items()
        }
        return Shots(inputs, self.model.head_score(own, inputs), torch.ones(size))

    def adapted(self, support: Shots) -> Params:
        """One user's answer, without gradients, as the platform asks."""
        with torch.no_grad():
            return self.answer(support.inputs, support.values, support.weight)

    def answer(self, inputs: Tensor, values: Tensor, weight: Tensor) -> Params:
        head = self.head
        return self.learner.adapt(head.score, head.start, Shots(inputs, values, weight))

    def error(self, params: Params, shots: Shots) -> Tensor:
        return shots.error(self.head.score(params, shots.inputs))


def gives_the_parameters_back(subject: Subject) -> None:
    """What it returns has the names, shapes and dtypes of the head it was given, and is finite."""
    for case in _cases(subject):
        start = case.head.start
        for size in (1, SIZE):
            adapted, where = case.adapted(case.support(size=size)), f"{case.label}, {size} interactions"
            expect(set(adapted) == set(start), f"{where}: returned {sorted(adapted)}, was given {sorted(start)}")
            for name, tensor in adapted.items():
                given = start[name]
                expect(tensor.shape == given.shape, f"{where}: {name} is {[*tensor.shape]}, was {[*given.shape]}")
                expect(tensor.dtype == given.dtype, f"{where}: {name} is {tensor.dtype}, was {given.dtype}")
                expect(torch.isfinite(tensor).all(), f"{where}: {name} is not finite")


def is_a_pure_function(subject: Subject) -> None:
    """When it serves, the same task gives the same answer at any time, and neither head nor support is changed."""
    for case in _cases(subject):
        support = case.support()
        given = (dict(case.model.start), support)
        unchanged(given, partial(case.adapted, support), f"{case.label}: params or support")
        first = bits(dict(case.adapted(support)))
        case.adapted(case.support(seed=9))
        with other_random_states():
            again = bits(dict(case.adapted(support)))
        expect(first == again, f"{case.label}: the same task gave another answer later")


def padding_has_no_say(subject: Subject) -> None:
    """Shots of weight 0 change nothing, whatever inputs and values stand there."""
    for case in _cases(subject):
        support = case.support()
        alone = case.adapted(support)
        for item, value in ((0, 0.0), (3, 50.0)):
            padded = Shots(
                torch.cat([support.inputs, case.model.vectors[item].expand(4, -1)]),
                torch.cat([support.values, torch.full((4,), value)]),
                torch.cat([support.weight, torch.zeros(4)]),
            )
            gap = _gap(alone, case.adapted(padded))
            expect(gap < CLOSE, f"{case.label}: four padded places of item {item}, value {value:g} move it {gap:.3g}")


def padding_alone_gives_finite_parameters(subject: Subject) -> None:
    """A support of nothing but padding gives finite parameters; the platform then takes the head it started from."""
    for case in _cases(subject):
        nothing = Shots(torch.zeros(SIZE, WIDTH), torch.zeros(SIZE), torch.zeros(SIZE))
        for name, tensor in case.adapted(nothing).items():
            expect(torch.isfinite(tensor).all(), f"{case.label}: {name} is not finite without interactions")


def many_users_at_once_equal_one_by_one(subject: Subject) -> None:
    """Under `torch.func.vmap` over users, without gradients, as the platform runs it, each gets their own answer."""
    for case in _cases(subject):
        tasks = [_shortened(case.support(seed), seed) for seed in range(USERS)]
        with torch.no_grad():
            together = vmap(case.answer)(*_stacked(tasks))
        for user, task in enumerate(tasks):
            gap = _gap(case.adapted(task), {name: tensor[user] for name, tensor in together.items()})
            expect(gap < CLOSE, f"{case.label}: under vmap a user's answer is off by {gap:.3g}")


def moves_towards_the_support(subject: Subject) -> None:
    """At the defaults the adapted head explains the user's own interactions better than the one it started from.

    Of one that learns by the usual outer loss that is asked after it has learnt, over tasks like these.
    """
    for case in _cases(subject, defaults_only=True):
        if case.learnt is not None and not hasattr(case.learner, "outer"):
            _teach(case, case.learnt)
        for seed in range(USERS):
            support = case.support(seed)
            before, after = (float(case.error(params, support)) for params in (case.head.start, case.adapted(support)))
            expect(after < before, f"{case.label}: the error on the support goes from {before:.4g} to {after:.4g}")


CHECKS = (
    gives_the_parameters_back,
    is_a_pure_function,
    padding_has_no_say,
    padding_alone_gives_finite_parameters,
    many_users_at_once_equal_one_by_one,
    moves_towards_the_support,
)


def _cases(subject: Subject, *, defaults_only: bool = False) -> Iterator[_Case]:
    """Every corner with each head that it must serve: a rich one, and, as a closed form, one of a single vector."""
    context = subject.registry.context(item_counts=np.ones(ITEMS, np.int64), users=USERS)
    for label, choice in subject.corners():
        for rich in (True, False) if "closed_form" in subject.spec.offers else (True,):
            learner = cast("MetaLearner", subject.registry.build(subject.kind, choice, context))
            model = _Linear(rich=rich)
            learnt = None
            if hasattr(learner, "learns"):
                with torch.random.fork_rng(devices=[]):
                    torch.manual_seed(0)
                    learnt = learner.learns(Head.of(model, learner).start, WIDTH).eval()
            yield _Case(f"{label}, {'several parameters' if rich else 'one vector'}", learner, model, learnt)
        if defaults_only:
            return


def _teach(case: _Case, learnt: torch.nn.Module) -> None:
    """Learn over tasks to explain six interactions of a user from four others of them."""
    optimizer = torch.optim.Adam(learnt.parameters(), lr=0.02)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        learnt.train()
        for step in range(STEPS):
            tasks = [case.support(1000 + TASKS * step + task, size=10) for task in range(TASKS)]
            inputs, values, weight = _stacked(tasks)
            adapted = vmap(case.answer, randomness="different")(inputs[:, :4], values[:, :4], weight[:, :4])
            scores = vmap(case.head.score)(dict(adapted), inputs[:, 4:])
            optimizer.zero_grad()
            (scores - values[:, 4:]).square().mean().backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        learnt.eval()


def _stacked(tasks: list[Shots]) -> tuple[Tensor, Tensor, Tensor]:
    return (
        torch.stack([task.inputs for task in tasks]),
        torch.stack([task.values for task in tasks]),
        torch.stack([task.weight for task in tasks]),
    )


def _shortened(support: Shots, size: int) -> Shots:
    """The same task with only its first `size` interactions known, at least one."""
    weight = (torch.arange(len(support.values)) < max(size, 1)).float()
    return Shots(support.inputs, support.values, weight)


def _gap(one: Params, other: Params) -> float:
    """The largest difference, relative to 1 or to the largest number if that is larger."""
    scale = max(1.0, *(float(tensor.abs().max()) for tensor in one.values()))
    return max(float((one[name] - other[name]).abs().max()) for name in one) / scale
