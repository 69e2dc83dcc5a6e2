"""Absolute error: for predicted ratings, whose median it learns; one far rating counts no more than a near one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recsmith.contracts.config import Config
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import BuildContext, PartSpec

if TYPE_CHECKING:
    from torch import Tensor


class AbsoluteErrorConfig(Config):
    """Absolute error has no settings."""


class AbsoluteError:
    """|predicted - rating|, whose gradient is 0 where both are equal."""

    def __call__(self, predicted: Tensor, ratings: Tensor) -> Tensor:
        """Loss [P] of predicted [P] and true ratings [P]."""
        return (predicted - ratings).abs()


def _build(config: AbsoluteErrorConfig, context: BuildContext) -> AbsoluteError:
    return AbsoluteError()


@hookimpl
def provide_losses() -> list[PartSpec]:
    """Absolute error."""
    return [
        PartSpec(
            name="absolute_error",
            api_version=1,
            config=AbsoluteErrorConfig,
            offers=frozenset({"ratings"}),
            source="Huber 1964, Robust Estimation of a Location Parameter (the median), doi:10.1214/aoms/1177703732",
            build=_build,
        )
    ]
