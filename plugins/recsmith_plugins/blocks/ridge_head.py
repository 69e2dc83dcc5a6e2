"""One user's head by least squares around a common one: what meta-learners in closed form share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.func import jacrev

if TYPE_CHECKING:
    from torch import Tensor

    from recsmith.contracts.tasks import Params, Score, Shots

LOGISTIC = 0.25  # the largest curvature of the logistic error


def linearised(score: Score, params: Params, support: Shots) -> tuple[Tensor, Tensor]:
    """Slopes [S, D] of the scores in all numbers of the head, and what the scores lack (`Shots.lacks`), [S]."""
    common = dict(params)

    def scores(head: dict[str, Tensor]) -> Tensor:
        return score(head, support.inputs)

    slopes = jacrev(scores)(common)  # name -> [S, *shape]
    lacks = support.lacks(scores(common))
    return torch.cat([slopes[name].reshape(len(lacks), -1) for name in common], dim=1), lacks


def ridge_system(score: Score, params: Params, support: Shots) -> tuple[Tensor, Tensor]:
    """Rows [S, D] and right sides [S] of the least squares whose ridge solution is the step of the head.

    Of logits it is a Newton step on the logistic error, with the largest curvature that this can have, 1/4, everywhere
    (Boehning and Lindsay 1988, doi:10.1007/BF00049423): it never overshoots.
    """
    jacobian, lacks = linearised(score, params, support)
    curvature = LOGISTIC if support.ranks else 1.0
    root = (curvature * support.weight).sqrt()
    return jacobian * root[:, None], lacks / curvature * root


def ridge_step(jacobian: Tensor, residual: Tensor, l2: Tensor | float) -> Tensor:
    """The d [D] that minimises |residual - jacobian d|^2 + l2 |d|^2, through the smaller of two equal systems."""
    support, width = jacobian.shape
    if width > support:
        system = jacobian @ jacobian.T + l2 * torch.eye(support, dtype=jacobian.dtype, device=jacobian.device)
        weights: Tensor = torch.linalg.solve(system, residual)
        return jacobian.T @ weights
    system = jacobian.T @ jacobian + l2 * torch.eye(width, dtype=jacobian.dtype, device=jacobian.device)
    step: Tensor = torch.linalg.solve(system, jacobian.T @ residual)
    return step


def moved(params: Params, step: Tensor) -> Params:
    """The head moved by a step [D], its numbers in the order of `params`."""
    pieces = torch.split(step, [tensor.numel() for tensor in params.values()])
    return {
        name: tensor + piece.reshape(tensor.shape) for (name, tensor), piece in zip(params.items(), pieces, strict=True)
    }
