"""Generalised binary cross-entropy: tempers the overconfidence that negative sampling causes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from torch.nn.functional import softplus

from recsmith.contracts.config import Choice, Config
from recsmith.contracts.domains import Float, Int, OneOf
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import BuildContext, PartSpec

if TYPE_CHECKING:
    from torch import Tensor

    from recsmith.contracts.training import Draw, Sampler


class GBCEConfig(Config):
    """Settings of gBCE. The negatives are drawn once for the whole batch."""

    negatives: Annotated[int, Int(16, 1024, log=True)] = 256
    t: Annotated[float, Float(0.0, 1.0)] = 0.75  # 0: plain binary cross-entropy, 1: fully calibrated
    sampler: Annotated[Choice, OneOf("samplers")] = Choice(name="uniform")


class GBCE:
    """Binary cross-entropy whose positive probability is raised to the power beta.

    beta = a (t (1 - 1/a) + 1/a), a = n / (I - 1) the sampling rate. Differs from the paper: one set of negatives serves
    the whole batch, which turns [P, n, D] gathers into one matrix product.
    """

    shared = True

    def __init__(self, negatives: int, t: float, items: int, sampler: Sampler) -> None:
        rate = min(1.0, negatives / max(items - 1, 1))
        self.beta = rate * (t * (1.0 - 1.0 / rate) + 1.0 / rate)
        self.negatives = negatives
        self.sampler: Sampler | None = sampler

    def __call__(self, positive: Tensor, others: Tensor, draw: Draw | None) -> Tensor:
        """Loss [P] of positives [P] and negatives [P, n]; a negative of -inf counts for nothing."""
        return (self.beta * softplus(-positive) + softplus(others).sum(-1)) / (self.negatives + 1)


def _build(config: GBCEConfig, context: BuildContext) -> GBCE:
    return GBCE(config.negatives, config.t, context.items, context.part("samplers", config.sampler))


@hookimpl
def provide_losses() -> list[PartSpec]:
    """Generalised binary cross-entropy."""
    return [
        PartSpec(
            name="gbce",
            api_version=1,
            config=GBCEConfig,
            offers=frozenset({"ranking", "negatives"}),
            source="Petrov and Macdonald 2023, https://arxiv.org/abs/2308.07192",
            build=_build,
        )
    ]
