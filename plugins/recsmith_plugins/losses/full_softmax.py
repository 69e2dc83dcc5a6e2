"""Softmax cross-entropy over the whole catalogue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from recsmith.contracts.config import Config
from recsmith.contracts.domains import Float
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import BuildContext, PartSpec
from recsmith_plugins.blocks.logsumexp import logsumexp

if TYPE_CHECKING:
    from torch import Tensor

    from recsmith.contracts.training import Draw, Sampler


class FullSoftmaxConfig(Config):
    """Settings of the full softmax."""

    label_smoothing: Annotated[float, Float(0.0, 0.3)] = 0.0  # probability that the target spreads over all items


class FullSoftmax:
    """Cross-entropy against every item of the catalogue."""

    negatives = 0
    shared = True
    sampler: Sampler | None = None

    def __init__(self, config: FullSoftmaxConfig) -> None:
        self.smoothing = config.label_smoothing

    def __call__(self, positive: Tensor, others: Tensor, draw: Draw | None) -> Tensor:
        """Loss [P] of positives [P] among the catalogue's logits [P, I], which hold the positives' own."""
        total = logsumexp(others)
        if self.smoothing == 0.0:
            return total - positive
        return total - (1.0 - self.smoothing) * positive - self.smoothing * others.mean(-1)


def _build(config: FullSoftmaxConfig, context: BuildContext) -> FullSoftmax:
    return FullSoftmax(config)


@hookimpl
def provide_losses() -> list[PartSpec]:
    """The full softmax."""
    return [
        PartSpec(
            name="full_softmax",
            api_version=1,
            config=FullSoftmaxConfig,
            needs=frozenset({"small_catalogue"}),
            offers=frozenset({"ranking"}),
            source="Szegedy, Vanhoucke, Ioffe, Shlens and Wojna 2016 (label smoothing), https://arxiv.org/abs/1512.00567",
            build=_build,
        )
    ]
