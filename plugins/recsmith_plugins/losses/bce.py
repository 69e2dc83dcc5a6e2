"""Binary cross-entropy: each positive against a few sampled negatives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from torch.nn.functional import softplus

from recsmith.contracts.config import Choice, Config
from recsmith.contracts.domains import Int, OneOf
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import BuildContext, PartSpec

if TYPE_CHECKING:
    from torch import Tensor

    from recsmith.contracts.training import Draw, Sampler


class BCEConfig(Config):
    """Settings of binary cross-entropy."""

    negatives: Annotated[int, Int(1, 16, log=True)] = 1  # for each positive
    sampler: Annotated[Choice, OneOf("samplers")] = Choice(name="uniform")


class BCE:
    """Mean binary cross-entropy of one positive and its n negatives."""

    shared = False

    def __init__(self, negatives: int, sampler: Sampler) -> None:
        self.negatives = negatives
        self.sampler: Sampler | None = sampler

    def __call__(self, positive: Tensor, others: Tensor, draw: Draw | None) -> Tensor:
        """Loss [P] of positives [P] and negatives [P, n]; a negative of -inf counts for nothing."""
        return (softplus(-positive) + softplus(others).sum(-1)) / (self.negatives + 1)


def _build(config: BCEConfig, context: BuildContext) -> BCE:
    return BCE(config.negatives, context.part("samplers", config.sampler))


@hookimpl
def provide_losses() -> list[PartSpec]:
    """Binary cross-entropy."""
    return [
        PartSpec(
            name="bce",
            api_version=1,
            config=BCEConfig,
            offers=frozenset({"ranking", "negatives"}),
            source="Kang and McAuley 2018, https://arxiv.org/abs/1808.09781",
            build=_build,
        )
    ]
