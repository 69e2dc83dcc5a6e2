"""Reptile: move the common head towards where each user's own steps lead."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from recsmith.contracts.config import Config
from recsmith.contracts.domains import Categorical, Float, Int
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import BuildContext, MetaLearnerSpec
from recsmith_plugins.blocks.inner_loop import GradientSteps

if TYPE_CHECKING:
    from torch import Tensor

    from recsmith.contracts.tasks import TaskBlock


class ReptileConfig(Config):
    """Settings. `pull` weighs the way to the adapted heads against the loss of the queries."""

    adapts: Annotated[str, Categorical(("output", "context", "all"))] = "all"
    steps: Annotated[int, Int(1, 10)] = 5
    rate: Annotated[float, Float(1e-3, 1.0, log=True)] = 0.05
    pull: Annotated[float, Float(0.1, 100.0, log=True)] = 10.0


class Reptile(GradientSteps):
    """The outer gradient of the head is start - adapted (Nichol, Achiam and Schulman 2018), no derivative of a step.

    Its case: many steps and large heads, where second-order gradients cost too much. Differs from the paper: what does
    not adapt (the items' vectors) learns by the loss of the queries at the adapted heads, held constant.
    """

    def __init__(self, config: ReptileConfig) -> None:
        super().__init__(config.adapts, config.steps, config.rate, second_order=0.0)
        self.pull = config.pull

    def outer(self, block: TaskBlock) -> Tensor:
        """The loss of the queries for all that is shared, and half the squared way to the adapted heads."""
        adapted = {name: tensor.detach() for name, tensor in block.adapted().items()}
        way = sum((block.start[name] - tensor).square().sum() for name, tensor in adapted.items())
        return block.query_loss(adapted).mean() + self.pull * way / (2 * len(block.query.values))


def build(config: ReptileConfig, context: BuildContext) -> Reptile:
    """A meta-learner."""
    return Reptile(config)


@hookimpl
def provide_meta_learners() -> list[MetaLearnerSpec]:
    """Reptile."""
    return [
        MetaLearnerSpec(
            name="reptile",
            api_version=1,
            config=ReptileConfig,
            source=(
                "Nichol, Achiam and Schulman 2018, On First-Order Meta-Learning Algorithms, "
                "https://arxiv.org/abs/1803.02999"
            ),
            build=build,
        )
    ]
