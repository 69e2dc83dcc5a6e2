"""Fine-tuning: learn one head for all, then take gradient steps for each user. Nothing learns to adapt."""

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


class FineTuneConfig(Config):
    """Settings."""

    adapts: Annotated[str, Categorical(("output", "context", "all"))] = "all"
    steps: Annotated[int, Int(1, 20)] = 5
    rate: Annotated[float, Float(1e-3, 1.0, log=True)] = 0.05


class FineTune(GradientSteps):
    """The inner loop of MAML after ordinary training: the baseline that tells what learning to adapt is worth."""

    def outer(self, block: TaskBlock) -> Tensor:
        """The mean loss of the queries before adaptation."""
        return block.query_loss(block.start).mean()


def build(config: FineTuneConfig, context: BuildContext) -> FineTune:
    """A meta-learner."""
    return FineTune(config.adapts, config.steps, config.rate, second_order=0.0)


@hookimpl
def provide_meta_learners() -> list[MetaLearnerSpec]:
    """Fine-tuning."""
    return [
        MetaLearnerSpec(
            name="fine_tune",
            api_version=1,
            config=FineTuneConfig,
            source="Finn, Abbeel and Levine 2017, https://arxiv.org/abs/1703.03400, section 5.1 (the baseline there)",
            build=build,
        )
    ]
