"""First-order MAML: as MAML, but no gradient flows through the gradients of the inner steps."""

from __future__ import annotations

from typing import Annotated

from recsmith.contracts.config import Config
from recsmith.contracts.domains import Categorical, Float, Int
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import BuildContext, MetaLearnerSpec
from recsmith_plugins.blocks.inner_loop import GradientSteps


class FOMAMLConfig(Config):
    """Settings."""

    adapts: Annotated[str, Categorical(("output", "context", "all"))] = "all"
    steps: Annotated[int, Int(1, 10)] = 5
    rate: Annotated[float, Float(1e-3, 1.0, log=True)] = 0.05


def build(config: FOMAMLConfig, context: BuildContext) -> GradientSteps:
    """Steps whose gradients are constants to the outer loop.

    Its case is that of MAML with more steps, or with larger heads, than second-order gradients are worth.
    """
    return GradientSteps(config.adapts, config.steps, config.rate, second_order=0.0)


@hookimpl
def provide_meta_learners() -> list[MetaLearnerSpec]:
    """First-order MAML."""
    return [
        MetaLearnerSpec(
            name="fomaml",
            api_version=1,
            config=FOMAMLConfig,
            source=(
                "Finn, Abbeel and Levine 2017, https://arxiv.org/abs/1703.03400, section 5.2; Nichol, Achiam and "
                "Schulman 2018, On First-Order Meta-Learning Algorithms, https://arxiv.org/abs/1803.02999"
            ),
            build=build,
        )
    ]
