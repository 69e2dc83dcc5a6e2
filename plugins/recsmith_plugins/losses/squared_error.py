"""Squared error: for predicted ratings, whose mean it learns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recsmith.contracts.config import Config
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import BuildContext, PartSpec

if TYPE_CHECKING:
    from torch import Tensor


class SquaredErrorConfig(Config):
    """Squared error has no settings."""


class SquaredError:
    """(predicted - rating)^2."""

    def __call__(self, predicted: Tensor, ratings: Tensor) -> Tensor:
        """Loss [P] of predicted [P] and true ratings [P]."""
        return (predicted - ratings).square()


def _build(config: SquaredErrorConfig, context: BuildContext) -> SquaredError:
    return SquaredError()


@hookimpl
def provide_losses() -> list[PartSpec]:
    """Squared error."""
    return [
        PartSpec(
            name="squared_error",
            api_version=1,
            config=SquaredErrorConfig,
            offers=frozenset({"ratings"}),
            source=(
                "Koren, Bell and Volinsky 2009, Matrix Factorization Techniques for Recommender Systems, "
                "doi:10.1109/MC.2009.263"
            ),
            build=_build,
        )
    ]
