"""Margin ranking: each positive should beat each sampled negative by a margin, and then no more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from torch.nn.functional import relu

from recsmith.contracts.config import Choice, Config
from recsmith.contracts.domains import Float, Int, OneOf
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import BuildContext, PartSpec

if TYPE_CHECKING:
    from torch import Tensor

    from recsmith.contracts.training import Draw, Sampler


class MyNameConfig(Config):
    """Settings. A field may choose another plugin; that plugin's settings are then searched too."""

    margin: Annotated[float, Float(0.1, 4.0, log=True)] = 1.0  # in logits
    negatives: Annotated[int, Int(1, 32, log=True)] = 4  # for each positive
    sampler: Annotated[Choice, OneOf("samplers")] = Choice(name="uniform")


class MyName:
    """Mean of max(0, margin - positive + negative) over the n negatives."""

    shared = False  # every positive has negatives of its own

    def __init__(self, config: MyNameConfig, sampler: Sampler) -> None:
        self.margin = config.margin
        self.negatives = config.negatives
        self.sampler: Sampler | None = sampler

    def __call__(self, positive: Tensor, others: Tensor, draw: Draw | None) -> Tensor:
        """Loss [P] of positives [P] above negatives [P, n]; a negative of -inf (an accidental hit) costs nothing."""
        return relu(self.margin - positive.unsqueeze(-1) + others).mean(-1)


def build(config: MyNameConfig, context: BuildContext) -> MyName:
    """A loss with the sampler that the settings name."""
    return MyName(config, context.part("samplers", config.sampler))


@hookimpl
def provide_losses() -> list[PartSpec]:
    """Offer the loss."""
    return [
        PartSpec(
            name="my_name",
            api_version=1,
            config=MyNameConfig,
            offers=frozenset({"ranking", "negatives"}),
            source="Herbrich, Graepel and Obermayer 2000, Large Margin Rank Boundaries for Ordinal Regression",
            build=build,
        )
    ]
