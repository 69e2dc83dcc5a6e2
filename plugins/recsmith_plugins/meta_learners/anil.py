"""ANIL: only the decision layer adapts; what it reads is learnt for all users together."""

from __future__ import annotations

from typing import Annotated

from recsmith.contracts.config import Config
from recsmith.contracts.domains import Float, Int
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import BuildContext, MetaLearnerSpec
from recsmith_plugins.blocks.inner_loop import GradientSteps


class ANILConfig(Config):
    """Settings."""

    steps: Annotated[int, Int(1, 10)] = 5
    rate: Annotated[float, Float(1e-3, 1.0, log=True)] = 0.05


def build(config: ANILConfig, context: BuildContext) -> GradientSteps:
    """MAML on the output layer alone ("almost no inner loop").

    Its case: users who read the same features of items and weigh them in their own way. In recommendation this is MeLU
    (Lee et al. 2019) with its local update at the last decision layer; MeLU itself is `maml` with `adapts: all`.
    """
    return GradientSteps("output", config.steps, config.rate)


@hookimpl
def provide_meta_learners() -> list[MetaLearnerSpec]:
    """ANIL."""
    return [
        MetaLearnerSpec(
            name="anil",
            api_version=1,
            config=ANILConfig,
            source=(
                "Raghu, Raghu, Bengio and Vinyals 2020, Rapid Learning or Feature Reuse?, "
                "https://arxiv.org/abs/1909.09157; Lee et al. 2019, MeLU, https://arxiv.org/abs/1908.00413"
            ),
            build=build,
        )
    ]
