"""Negatives drawn evenly from the catalogue."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import BuildContext, PartSpec
from recsmith.contracts.training import Draw

if TYPE_CHECKING:
    from torch import Tensor

    from recsmith.contracts.config import Config


class Uniform:
    """Every item is as likely as every other; draws are with replacement."""

    def __init__(self, items: int) -> None:
        self.items = items

    def draw(self, positives: Tensor, count: int, *, shared: bool, generator: torch.Generator) -> Draw:
        """`count` negatives [n] for all positives [P], or [P, n]."""
        shape = (count,) if shared else (len(positives), count)
        drawn = torch.randint(self.items, shape, generator=generator, device=positives.device)
        expected = torch.full((1,), math.log(count / self.items), device=positives.device)
        return Draw(drawn, expected.expand(shape), expected.expand(len(positives)))


def _build(config: Config, context: BuildContext) -> Uniform:
    return Uniform(context.items)


@hookimpl
def provide_samplers() -> list[PartSpec]:
    """The uniform sampler."""
    return [
        PartSpec(name="uniform", api_version=1, source="none: every item is as likely as every other", build=_build)
    ]
