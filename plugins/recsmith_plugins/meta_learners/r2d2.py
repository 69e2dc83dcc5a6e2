"""R2-D2: ridge regression as the inner loop, learnt through; how hard it pulls is learnt too."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

import torch
from torch import Tensor, nn

from recsmith.contracts.config import Config
from recsmith.contracts.domains import Float
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import BuildContext, MetaLearnerSpec
from recsmith_plugins.blocks.ridge_head import moved, ridge_step, ridge_system

if TYPE_CHECKING:
    from recsmith.contracts.tasks import Params, Score, Shots


class R2D2Config(Config):
    """Settings. `l2` is what the pull starts from, in units of one interaction's squared error."""

    l2: Annotated[float, Float(1e-2, 1e2, log=True)] = 3.0


class Pull(nn.Module):
    """The logarithms of the pull of every number of the head towards the common one."""

    def __init__(self, config: R2D2Config, params: Params) -> None:
        super().__init__()
        size = sum(tensor.numel() for tensor in params.values())
        self.log = nn.Parameter(torch.full((size,), math.log(config.l2)))

    def scales(self) -> Tensor:
        """How far each number may go, [D]: 1 / sqrt(pull)."""
        return (-0.5 * self.log).exp()


class R2D2:
    """The head is the ridge solution around the common one, and the outer loop differentiates that solution.

    Its case: users whose scores are linear in what the items' vectors can be made to hold; then few interactions are
    used up entirely, which no number of gradient steps does. Differs from Bertinetto et al. 2019: each number of the
    head has its own pull, and outputs need no calibration, for the common head is part of the solution.
    """

    adapts = "output"

    def __init__(self, config: R2D2Config) -> None:
        self.config = config

    def learns(self, params: Params, width: int) -> Pull:
        """The pulls."""
        self.module = Pull(self.config, params)
        return self.module

    def adapt(self, score: Score, params: Params, support: Shots) -> Params:
        """One user's parameters; a shot counts by its weight."""
        rows, sides = ridge_system(score, params, support)
        scales = self.module.scales()
        return moved(params, ridge_step(rows * scales, sides, 1.0) * scales)


def build(config: R2D2Config, context: BuildContext) -> R2D2:
    """A meta-learner."""
    return R2D2(config)


@hookimpl
def provide_meta_learners() -> list[MetaLearnerSpec]:
    """R2-D2."""
    return [
        MetaLearnerSpec(
            name="r2d2",
            api_version=1,
            config=R2D2Config,
            source=(
                "Bertinetto, Henriques, Torr and Vedaldi 2019, Meta-learning with Differentiable Closed-form Solvers, "
                "https://arxiv.org/abs/1805.08136"
            ),
            build=build,
        )
    ]
