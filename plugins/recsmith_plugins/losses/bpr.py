"""Bayesian personalised ranking: each positive should score above each sampled negative."""

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


class BPRConfig(Config):
    """Settings of BPR."""

    negatives: Annotated[int, Int(1, 16, log=True)] = 1  # for each positive
    sampler: Annotated[Choice, OneOf("samplers")] = Choice(name="uniform")


class BPR:
    """Mean of -log sigmoid(positive - negative) over the n negatives."""

    shared = False

    def __init__(self, config: BPRConfig, sampler: Sampler) -> None:
        self.negatives = config.negatives
        self.sampler: Sampler | None = sampler

    def __call__(self, positive: Tensor, others: Tensor, draw: Draw | None) -> Tensor:
        """Loss [P] of positives [P] above negatives [P, n]; a negative of -inf counts for nothing."""
        return softplus(others - positive.unsqueeze(-1)).mean(-1)


def _build(config: BPRConfig, context: BuildContext) -> BPR:
    return BPR(config, context.part("samplers", config.sampler))


@hookimpl
def provide_losses() -> list[PartSpec]:
    """Bayesian personalised ranking."""
    return [
        PartSpec(
            name="bpr",
            api_version=1,
            config=BPRConfig,
            offers=frozenset({"ranking", "negatives"}),
            source="Rendle, Freudenthaler, Gantner and Schmidt-Thieme 2009, https://arxiv.org/abs/1205.2618",
            build=_build,
        )
    ]
