"""The learning rate stays as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import BuildContext, PartSpec

if TYPE_CHECKING:
    from recsmith.contracts.config import Config


class Constant:
    """A factor of 1."""

    def factor(self, progress: float) -> float:
        """The factor at `progress`: 1."""
        return 1.0

    def observe(self, score: float) -> None:
        """Nothing to hear."""

    def state(self) -> dict[str, float]:
        """Nothing to keep."""
        return {}

    def load(self, state: dict[str, float]) -> None:
        """Nothing to load."""


def _build(config: Config, context: BuildContext) -> Constant:
    return Constant()


@hookimpl
def provide_schedules() -> list[PartSpec]:
    """The constant schedule."""
    return [PartSpec(name="constant", api_version=1, source="none: the base rate", build=_build)]
