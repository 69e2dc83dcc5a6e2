"""Meta-Dropout: noise on the support, learnt so that heads adapted to it serve the query."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from recsmith.contracts.config import Config
from recsmith.contracts.domains import Categorical, Float, Int
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import BuildContext, MetaLearnerSpec
from recsmith_plugins.blocks.inner_loop import descend

if TYPE_CHECKING:
    from recsmith.contracts.tasks import Params, Score, Shots


class MetaDropoutConfig(Config):
    """Settings. `noise` is the deviation of the noise before anything is learnt."""

    adapts: Annotated[str, Categorical(("output", "context", "all"))] = "all"
    steps: Annotated[int, Int(1, 10)] = 3
    rate: Annotated[float, Float(1e-3, 1.0, log=True)] = 0.05
    noise: Annotated[float, Float(0.01, 1.0, log=True)] = 0.1


class Noise(nn.Module):
    """Multiplies inputs with 1 + softplus(linear(inputs)) x a standard normal number; nothing when it serves."""

    def __init__(self, config: MetaDropoutConfig, width: int) -> None:
        super().__init__()
        self.size = nn.Linear(width, width)
        nn.init.zeros_(self.size.weight)
        nn.init.constant_(self.size.bias, float(torch.tensor(config.noise).expm1().log()))  # softplus of it is `noise`

    def forward(self, inputs: Tensor) -> Tensor:
        """Inputs [..., F] with noise."""
        return inputs * (1.0 + softplus(self.size(inputs)) * torch.randn_like(inputs)) if self.training else inputs


class MetaDropout:
    """Gradient steps on a support whose inputs are noisy; how noisy each number is depends on the item, and is learnt.

    Its case: few and telling interactions, where a head adapted to them exactly serves nothing else. As in Lee et al.
    2020 the noise is there in the inner loop only, multiplies, and is left out when the model serves.
    """

    def __init__(self, config: MetaDropoutConfig) -> None:
        self.config = config
        self.adapts = config.adapts

    def learns(self, params: Params, width: int) -> Noise:
        """The noise."""
        self.module = Noise(self.config, width)
        return self.module

    def adapt(self, score: Score, params: Params, support: Shots) -> Params:
        """One user's parameters."""
        noisy = replace(support, inputs=self.module(support.inputs))
        return descend(score, params, noisy, steps=self.config.steps, rate=lambda *_: self.config.rate)


def build(config: MetaDropoutConfig, context: BuildContext) -> MetaDropout:
    """A meta-learner."""
    return MetaDropout(config)


@hookimpl
def provide_meta_learners() -> list[MetaLearnerSpec]:
    """Meta-Dropout."""
    return [
        MetaLearnerSpec(
            name="meta_dropout",
            api_version=1,
            config=MetaDropoutConfig,
            source=(
                "Lee, Nam, Yang and Hwang 2020, Meta Dropout: Learning to Perturb Latent Features for Generalization, "
                "https://openreview.net/forum?id=BJgd81SYwr"
            ),
            build=build,
        )
    ]
