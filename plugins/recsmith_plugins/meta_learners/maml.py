"""MAML: learn a head from which a few gradient steps lead every user to a good one."""

from __future__ import annotations

from typing import Annotated

from recsmith.contracts.config import Config
from recsmith.contracts.domains import Categorical, Float, Int
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import BuildContext, MetaLearnerSpec
from recsmith_plugins.blocks.inner_loop import GradientSteps


class MAMLConfig(Config):
    """Settings. `anneal` is the share of the epochs in which the order goes from the first to the second, linearly."""

    adapts: Annotated[str, Categorical(("output", "context", "all"))] = "all"
    steps: Annotated[int, Int(1, 10)] = 3
    rate: Annotated[float, Float(1e-3, 1.0, log=True)] = 0.05
    anneal: Annotated[float, Float(0.0, 1.0)] = 0.0


class MAML(GradientSteps):
    """The gradient of the loss after adaptation flows back through every step (Finn, Abbeel and Levine 2017).

    Its case: users who differ in a way that few parameters cannot say, so that where all start from matters. Annealing
    from first to second order is that of Antoniou, Edwards and Storkey 2019 (MAML++), there all at once.
    """

    def __init__(self, config: MAMLConfig) -> None:
        super().__init__(config.adapts, config.steps, config.rate)
        self.anneal = config.anneal

    def begin(self, epoch: int, total: int) -> None:
        """Set the order of this epoch."""
        self.second_order = min(1.0, (epoch - 1) / (self.anneal * total)) if self.anneal else 1.0


def build(config: MAMLConfig, context: BuildContext) -> MAML:
    """A meta-learner."""
    return MAML(config)


@hookimpl
def provide_meta_learners() -> list[MetaLearnerSpec]:
    """MAML."""
    return [
        MetaLearnerSpec(
            name="maml",
            api_version=1,
            config=MAMLConfig,
            source=(
                "Finn, Abbeel and Levine 2017, Model-Agnostic Meta-Learning for Fast Adaptation of Deep Networks, "
                "https://arxiv.org/abs/1703.03400"
            ),
            build=build,
        )
    ]
