"""Gradient-weighted MAML: tasks whose gradient agrees with that of the others count more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import torch

from recsmith.contracts.config import Config
from recsmith.contracts.domains import Categorical, Float, Int
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import BuildContext, MetaLearnerSpec
from recsmith_plugins.blocks.inner_loop import GradientSteps

if TYPE_CHECKING:
    from torch import Tensor

    from recsmith.contracts.tasks import TaskBlock


class GradientWeightedConfig(Config):
    """Settings. At `sharpness` 0 all tasks of a block count alike."""

    adapts: Annotated[str, Categorical(("output", "context", "all"))] = "all"
    steps: Annotated[int, Int(1, 10)] = 3
    rate: Annotated[float, Float(1e-3, 1.0, log=True)] = 0.05
    sharpness: Annotated[float, Float(0.0, 20.0)] = 5.0


class GradientWeighted(GradientSteps):
    """A task counts by softmax(sharpness x cosine of its gradient with the mean gradient of the block).

    Its case: some users at odds with all others (noise, bots, shared accounts), who would pull the common head away.
    Differs from Eshratifar et al. 2018, whose weights are products with the sum: cosines are bounded, so that no task
    counts for being large alone. The gradients are those at the adapted heads, which one backward pass gives for all
    tasks.
    """

    def __init__(self, config: GradientWeightedConfig) -> None:
        super().__init__(config.adapts, config.steps, config.rate)
        self.sharpness = config.sharpness

    def outer(self, block: TaskBlock) -> Tensor:
        """The weighted mean of the losses of the queries."""
        adapted = block.adapted()
        losses = block.query_loss(adapted)
        slopes = torch.autograd.grad(losses.sum(), list(adapted.values()), retain_graph=True)
        flat = torch.cat([slope.reshape(len(losses), -1) for slope in slopes], dim=1)
        agreement = torch.cosine_similarity(flat, flat.mean(dim=0, keepdim=True))
        return (losses * torch.softmax(self.sharpness * agreement, dim=0)).sum()


def build(config: GradientWeightedConfig, context: BuildContext) -> GradientWeighted:
    """A meta-learner."""
    return GradientWeighted(config)


@hookimpl
def provide_meta_learners() -> list[MetaLearnerSpec]:
    """Gradient-weighted MAML."""
    return [
        MetaLearnerSpec(
            name="gradient_weighted",
            api_version=1,
            config=GradientWeightedConfig,
            source=(
                "Eshratifar, Eigen and Pedram 2018, Gradient Agreement as an Optimization Objective for Meta-Learning, "
                "https://arxiv.org/abs/1810.08178"
            ),
            build=build,
        )
    ]
