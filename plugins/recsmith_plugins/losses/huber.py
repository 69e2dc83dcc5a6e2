"""Huber's loss: for predicted ratings, squared error where they are near and absolute error where they are far."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from torch.nn.functional import huber_loss

from recsmith.contracts.config import Config
from recsmith.contracts.domains import Float
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import BuildContext, PartSpec

if TYPE_CHECKING:
    from torch import Tensor


class HuberConfig(Config):
    """Settings: beyond an error of `delta`, in the ratings' own unit, the loss grows linearly."""

    delta: Annotated[float, Float(0.1, 10.0, log=True)] = 1.0


class Huber:
    """e^2 up to |e| = delta, 2 delta |e| - delta^2 beyond.

    That is twice the paper's: near by it is squared error itself, so penalties beside it keep their meaning.
    """

    def __init__(self, config: HuberConfig) -> None:
        self.delta = config.delta

    def __call__(self, predicted: Tensor, ratings: Tensor) -> Tensor:
        """Loss [P] of predicted [P] and true ratings [P]."""
        return 2.0 * huber_loss(predicted, ratings, reduction="none", delta=self.delta)


def _build(config: HuberConfig, context: BuildContext) -> Huber:
    return Huber(config)


@hookimpl
def provide_losses() -> list[PartSpec]:
    """Huber's loss."""
    return [
        PartSpec(
            name="huber",
            api_version=1,
            config=HuberConfig,
            offers=frozenset({"ratings"}),
            source="Huber 1964, Robust Estimation of a Location Parameter, doi:10.1214/aoms/1177703732",
            build=_build,
        )
    ]
