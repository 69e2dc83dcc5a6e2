"""Gradient steps on one user's support: the inner loop that meta-learners by gradient share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.func import grad

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from recsmith.contracts.tasks import Params, Score, Shots

    Rate = Callable[[str, Tensor], Tensor | float]  # name of a parameter, its gradient -> what it is multiplied with

STEEPEST = 10.0  # norm of one inner gradient


def descend(
    score: Score, params: Params, support: Shots, *, steps: int, rate: Rate, second_order: float = 1.0
) -> Params:
    """Steps down the gradient of the support's error, from `params`.

    Args:
        score: of one user.
        params: where to start.
        support: one user's.
        steps: how many.
        rate: of a parameter by its name; a number, or a tensor that broadcasts to its gradient.
        second_order: the share of a step's own gradient that an outer loop sees: 1 is MAML, 0 its first-order form.
    """

    def error(head: dict[str, Tensor]) -> Tensor:
        return support.error(score(head, support.inputs))

    head = dict(params)
    for _ in range(steps):
        slopes = clipped(grad(error)(head))
        for name, slope in slopes.items():
            if second_order == 0:
                step = slope.detach()
            elif second_order == 1:
                step = slope
            else:
                step = second_order * slope + (1 - second_order) * slope.detach()
            head[name] = head[name] - rate(name, step) * step
    return head


def clipped(slopes: dict[str, Tensor]) -> dict[str, Tensor]:
    """The gradient, its norm at most `STEEPEST`: a few odd shots must not throw a head far off."""
    squares = torch.stack([slope.square().sum() for slope in slopes.values()]).sum()
    factor = STEEPEST / squares.clamp_min(STEEPEST**2).sqrt()
    return {name: slope * factor for name, slope in slopes.items()}


@dataclass
class GradientSteps:
    """A meta-learner of plain gradient steps, all at one rate. `second_order`: see `descend`."""

    adapts: str
    steps: int
    rate: float
    second_order: float = 1.0

    def adapt(self, score: Score, params: Params, support: Shots) -> Params:
        """One user's parameters."""
        return descend(
            score, params, support, steps=self.steps, rate=lambda *_: self.rate, second_order=self.second_order
        )
