"""Meta-SGD: the start, the direction and the rate of every number of the head are learnt together."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

import torch
from torch import nn

from recsmith.contracts.config import Config
from recsmith.contracts.domains import Categorical, Float, Int
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import BuildContext, MetaLearnerSpec
from recsmith_plugins.blocks.inner_loop import descend

if TYPE_CHECKING:
    from torch import Tensor

    from recsmith.contracts.tasks import Params, Score, Shots


class MetaSGDConfig(Config):
    """Settings. `rate` is what every learnt rate starts from."""

    adapts: Annotated[str, Categorical(("output", "context", "all"))] = "all"
    steps: Annotated[int, Int(1, 5)] = 1
    rate: Annotated[float, Float(1e-3, 1.0, log=True)] = 0.05
    per: Annotated[str, Categorical(("number", "parameter"))] = "number"  # one rate for each


class Rates(nn.Module):
    """The logarithm of a rate for every number of the head, or for each of its parameters."""

    def __init__(self, config: MetaSGDConfig, params: Params) -> None:
        super().__init__()
        self.names = tuple(params)
        shapes = [tensor.shape if config.per == "number" else () for tensor in params.values()]
        self.logs = nn.ParameterList([nn.Parameter(torch.full(shape, math.log(config.rate))) for shape in shapes])

    def rates(self) -> dict[str, Tensor]:
        """The rates by name."""
        return {name: log.exp() for name, log in zip(self.names, self.logs, strict=True)}


class MetaSGD:
    """One or a few steps, each number of the head at its own learnt rate.

    Its case: heads of which some numbers tell users apart and others do not. Differs from Li et al. 2017: rates are
    exponentials of what is learnt, so that none turns a step uphill.
    """

    def __init__(self, config: MetaSGDConfig) -> None:
        self.config = config
        self.adapts = config.adapts

    def learns(self, params: Params, width: int) -> Rates:
        """The rates."""
        self.module = Rates(self.config, params)
        return self.module

    def adapt(self, score: Score, params: Params, support: Shots) -> Params:
        """One user's parameters."""
        rates = self.module.rates()
        return descend(score, params, support, steps=self.config.steps, rate=lambda name, _: rates[name])


def build(config: MetaSGDConfig, context: BuildContext) -> MetaSGD:
    """A meta-learner."""
    return MetaSGD(config)


@hookimpl
def provide_meta_learners() -> list[MetaLearnerSpec]:
    """Meta-SGD."""
    return [
        MetaLearnerSpec(
            name="meta_sgd",
            api_version=1,
            config=MetaSGDConfig,
            source=(
                "Li, Zhou, Chen and Li 2017, Meta-SGD: Learning to Learn Quickly for Few-Shot Learning, "
                "https://arxiv.org/abs/1707.09835"
            ),
            build=build,
        )
    ]
