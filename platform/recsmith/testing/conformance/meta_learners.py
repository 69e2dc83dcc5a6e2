"""What every plugin of the kind meta_learners promises."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from torch.func import vmap

from recsmith.contracts.plugins import MetaLearner, Support
from recsmith.testing.conformance.chance import other_random_states
from recsmith.testing.conformance.subject import bits, expect, unchanged

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from recsmith.testing.conformance.subject import Subject

ITEMS, WIDTH, SIZE, USERS = 12, 4, 6, 5
CLOSE = 1e-3  # relative; one user alone and many together are not computed in the same order
Params = Mapping[str, torch.Tensor]


@dataclass(frozen=True)
class _Head:
    """A head whose scores are linear: item vectors x weight (+ bias)."""

    name: str
    start: Params
    score: Callable[[Params, Tensor], Tensor]

    def support(self, seed: int = 0, size: int = SIZE) -> Support:
        """Interactions of a user whose own head is known; no noise: they can be explained whole."""
        generator = torch.Generator().manual_seed(seed)
        items = torch.randperm(ITEMS, generator=generator)[:size]
        own = {name: tensor + torch.randn(tensor.shape, generator=generator) for name, tensor in self.start.items()}
        return Support(items, self.score(own, items), torch.ones(size))


def gives_the_parameters_back(subject: Subject) -> None:
    """What it returns has the names, shapes and dtypes of the head it was given, and is finite."""
    for label, learner, head in _cases(subject):
        for size in (1, SIZE):
            adapted = _adapt(learner, head, head.support(size=size))
            where = f"{label}, {head.name}, {size} interactions"
            expect(
                set(adapted) == set(head.start), f"{where}: returned {sorted(adapted)}, was given {sorted(head.start)}"
            )
            for name, tensor in adapted.items():
                given = head.start[name]
                expect(tensor.shape == given.shape, f"{where}: {name} is {[*tensor.shape]}, was {[*given.shape]}")
                expect(tensor.dtype == given.dtype, f"{where}: {name} is {tensor.dtype}, was {given.dtype}")
                expect(torch.isfinite(tensor).all(), f"{where}: {name} is not finite")


def is_a_pure_function(subject: Subject) -> None:
    """The same task gives the same answer at any time, and neither head nor support is written into."""
    for label, learner, head in _cases(subject):
        support = head.support()
        given = (dict(head.start), support)
        unchanged(given, partial(_adapt, learner, head, support), f"{label}: params or support")
        first = bits(dict(_adapt(learner, head, support)))
        _adapt(learner, head, head.support(seed=9))
        with other_random_states():
            again = bits(dict(_adapt(learner, head, support)))
        expect(first == again, f"{label}, {head.name}: the same task gave another answer later")


def padding_has_no_say(subject: Subject) -> None:
    """Places of mask 0 change nothing, whatever items and values stand there."""
    for label, learner, head in _cases(subject):
        support = head.support()
        alone = _adapt(learner, head, support)
        for items, values in ((0, 0.0), (3, 50.0)):
            padded = Support(
                torch.cat([support.items, torch.full((4,), items)]),
                torch.cat([support.values, torch.full((4,), values)]),
                torch.cat([support.mask, torch.zeros(4)]),
            )
            gap = _gap(alone, _adapt(learner, head, padded))
            expect(
                gap < CLOSE,
                f"{label}, {head.name}: four padded places of item {items} and value {values:g} move it by {gap:.3g}",
            )


def padding_alone_gives_finite_parameters(subject: Subject) -> None:
    """A support of nothing but padding gives finite parameters; the platform then takes the head it started from."""
    for label, learner, head in _cases(subject):
        support = Support(torch.zeros(SIZE, dtype=torch.int64), torch.zeros(SIZE), torch.zeros(SIZE))
        for name, tensor in _adapt(learner, head, support).items():
            expect(torch.isfinite(tensor).all(), f"{label}, {head.name}: {name} is not finite without interactions")


def many_users_at_once_equal_one_by_one(subject: Subject) -> None:
    """Under `torch.func.vmap` over users, without gradients, as the platform runs it, each gets their own answer."""
    for label, learner, head in _cases(subject):
        tasks = [_shortened(head.support(seed), seed) for seed in range(USERS)]
        stacked = [torch.stack([getattr(task, part) for task in tasks]) for part in ("items", "values", "mask")]

        with torch.no_grad():
            together = vmap(partial(_answer, learner, head))(*stacked)
        for user, task in enumerate(tasks):
            gap = _gap(_adapt(learner, head, task), {name: tensor[user] for name, tensor in together.items()})
            expect(gap < CLOSE, f"{label}, {head.name}: under vmap a user's answer is off by {gap:.3g}")


def moves_towards_the_support(subject: Subject) -> None:
    """At the defaults the adapted head explains the user's own interactions better than the one it started from."""
    label, learner, head = next(_cases(subject))
    for seed in range(USERS):
        support = head.support(seed)
        before, after = (
            float((head.score(params, support.items) - support.values).square().mean())
            for params in (head.start, _adapt(learner, head, support))
        )
        expect(
            after < before,
            f"{label}, {head.name}: the mean squared error on the support goes from {before:.4g} to {after:.4g}",
        )


CHECKS = (
    gives_the_parameters_back,
    is_a_pure_function,
    padding_has_no_say,
    padding_alone_gives_finite_parameters,
    many_users_at_once_equal_one_by_one,
    moves_towards_the_support,
)


def _cases(subject: Subject) -> Iterator[tuple[str, MetaLearner, _Head]]:
    """Every corner with each head that it must serve: one vector; several parameters unless it is a closed form."""
    context = subject.registry.context(item_counts=np.ones(ITEMS, np.int64), users=USERS)
    heads = _heads()[: 1 if "closed_form" in subject.spec.offers else 2]
    for label, choice in subject.corners():
        for head in heads:
            yield label, cast("MetaLearner", subject.registry.build(subject.kind, choice, context)), head


def _heads() -> tuple[_Head, _Head]:
    generator = torch.Generator().manual_seed(7)
    vectors = torch.randn(ITEMS, WIDTH, generator=generator)
    weight = 0.3 * torch.randn(WIDTH, generator=generator)

    def score(params: Params, items: Tensor) -> Tensor:
        return vectors[items] @ params["weight"]

    def score_with_bias(params: Params, items: Tensor) -> Tensor:
        return score(params, items) + params["bias"]

    return (
        _Head("a head of one vector", {"weight": weight}, score),
        _Head("a head of several parameters", {"weight": weight, "bias": torch.tensor(0.2)}, score_with_bias),
    )


def _adapt(learner: MetaLearner, head: _Head, support: Support) -> Params:
    """One user's answer, without gradients, as the platform asks."""
    with torch.no_grad():
        return _answer(learner, head, support.items, support.values, support.mask)


def _answer(learner: MetaLearner, head: _Head, items: Tensor, values: Tensor, mask: Tensor) -> Params:
    return learner.adapt(head.score, head.start, Support(items, values, mask))


def _shortened(support: Support, size: int) -> Support:
    """The same task with only its first `size` interactions known, at least one."""
    return replace(support, mask=(torch.arange(len(support.items)) < max(size, 1)).float())


def _gap(one: Params, other: Params) -> float:
    """The largest difference, relative to 1 or to the largest number if that is larger."""
    scale = max(1.0, *(float(tensor.abs().max()) for tensor in one.values()))
    return max(float((one[name] - other[name]).abs().max()) for name in one) / scale
