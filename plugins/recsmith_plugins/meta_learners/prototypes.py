"""Prototypes: the head moves along what the user liked on the whole, less what they disliked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import torch
from torch import Tensor, nn

from recsmith.contracts.config import Config
from recsmith.contracts.domains import Float
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import BuildContext, MetaLearnerSpec
from recsmith_plugins.blocks.ridge_head import linearised, moved

if TYPE_CHECKING:
    from recsmith.contracts.tasks import Params, Score, Shots


class PrototypesConfig(Config):
    """Settings: what is learnt starts from these."""

    damping: Annotated[float, Float(0.1, 30.0, log=True)] = 2.0  # shots at the origin that each prototype also has
    length: Annotated[float, Float(0.01, 10.0, log=True)] = 0.3  # of a step, in differences of prototypes


class Distances(nn.Module):
    """Logarithms of the damping and, for each number of the head, of the length of a step."""

    def __init__(self, config: PrototypesConfig, numbers: int) -> None:
        super().__init__()
        self.damping = nn.Parameter(torch.tensor(config.damping).log())
        self.length = nn.Parameter(torch.full((numbers,), config.length).log())


class Prototypes:
    """The head moves along (prototype of what scored too low) - (prototype of what scored too high).

    A prototype is the damped mean of what the output layer reads of those shots, each weighed by how far its score was
    off. Its case: users of a few tastes, whose interactions lie together. Differs from Snell et al. 2017, who classify
    by the nearer prototype: a linear head along their difference ranks in the same way, and prior and damping serve
    supports of one.
    """

    adapts = "output"

    def __init__(self, config: PrototypesConfig) -> None:
        self.config = config

    def learns(self, params: Params, width: int) -> Distances:
        """The damping and the lengths."""
        self.module = Distances(self.config, sum(tensor.numel() for tensor in params.values()))
        return self.module

    def adapt(self, score: Score, params: Params, support: Shots) -> Params:
        """One user's parameters."""
        read, lacks = linearised(score, params, support)
        damping = self.module.damping.exp()

        def prototype(sign: float) -> Tensor:
            side = (sign * lacks > 0) * support.weight  # [S]
            return (read * (side * lacks.abs())[:, None]).sum(dim=0) / (side.sum() + damping)

        return moved(params, self.module.length.exp() * (prototype(1.0) - prototype(-1.0)))


def build(config: PrototypesConfig, context: BuildContext) -> Prototypes:
    """A meta-learner."""
    return Prototypes(config)


@hookimpl
def provide_meta_learners() -> list[MetaLearnerSpec]:
    """Prototypes."""
    return [
        MetaLearnerSpec(
            name="prototypes",
            api_version=1,
            config=PrototypesConfig,
            source=(
                "Snell, Swersky and Zemel 2017, Prototypical Networks for Few-shot Learning, "
                "https://arxiv.org/abs/1703.05175"
            ),
            build=build,
        )
    ]
