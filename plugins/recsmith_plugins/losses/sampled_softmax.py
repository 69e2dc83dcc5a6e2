"""Softmax cross-entropy against sampled items, corrected for how likely each was to be drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import torch

from recsmith.contracts.config import Choice, Config
from recsmith.contracts.domains import Categorical, Int, OneOf
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import BuildContext, PartSpec
from recsmith_plugins.blocks.logsumexp import logsumexp

if TYPE_CHECKING:
    from torch import Tensor

    from recsmith.contracts.training import Draw, Sampler


class SampledSoftmaxConfig(Config):
    """Settings of the sampled softmax.

    `correct_positive` corrects the positive's own logit too: the likelihood of the positive among the candidates.
    """

    negatives: Annotated[int, Int(16, 1024, log=True)] = 256  # drawn once for the whole batch
    sampler: Annotated[Choice, OneOf("samplers")] = Choice(name="uniform")
    correct_positive: Annotated[bool, Categorical((False, True))] = False  # as Bengio and Senecal; see SampledSoftmax


class SampledSoftmax:
    """Cross-entropy against an estimate of the softmax's denominator.

    exp(positive) + sum of exp(negative) / expected draws, without accidental hits, estimates the denominator without
    bias. With `correct_positive` the positive's own logit is corrected too: the likelihood of the positive within the
    candidate set.
    """

    shared = True

    def __init__(self, config: SampledSoftmaxConfig, sampler: Sampler) -> None:
        self.negatives = config.negatives
        self.sampler: Sampler | None = sampler
        self.correct_positive = config.correct_positive

    def __call__(self, positive: Tensor, others: Tensor, draw: Draw | None) -> Tensor:
        """Loss [P] of positives [P] against negatives [P, n] that `draw` tells the odds of."""
        if draw is not None:
            others = others - draw.log_expected
            positive = positive - draw.positive_log_expected if self.correct_positive else positive
        return torch.logaddexp(positive, logsumexp(others)) - positive


def _build(config: SampledSoftmaxConfig, context: BuildContext) -> SampledSoftmax:
    return SampledSoftmax(config, context.part("samplers", config.sampler))


@hookimpl
def provide_losses() -> list[PartSpec]:
    """The sampled softmax."""
    return [
        PartSpec(
            name="sampled_softmax",
            api_version=1,
            config=SampledSoftmaxConfig,
            offers=frozenset({"ranking", "negatives"}),
            source="Bengio and Senecal 2008, https://doi.org/10.1109/TNN.2007.912312",
            build=_build,
        )
    ]
