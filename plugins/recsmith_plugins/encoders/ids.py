"""One feature per identifier: the row itself, for models that learn a weight for every item or user."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from recsmith.contracts.config import Config
from recsmith.contracts.data import Column, FeatureMatrix, Role, State
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import BuildContext, EncoderSpec
from recsmith_plugins.blocks.vocabulary import frequent, indicators

if TYPE_CHECKING:
    from collections.abc import Sequence


class IdsConfig(Config):
    """No settings."""


def _rows(column: Column) -> list[tuple[str, ...]]:
    return [() if value is None else (value,) for value in column.values]


@dataclass
class Ids:
    """One-hot of identifiers, [R, identifiers seen in fit]. An unseen one is a row of zeros: nothing is known of it."""

    words: Sequence[str] = field(default_factory=list)

    def fit(self, column: Column) -> None:
        """List the identifiers."""
        self.words = frequent(_rows(column))

    def features(self, column: Column) -> FeatureMatrix:
        """One-hot rows."""
        return indicators(_rows(column), self.words)

    def state(self) -> State:
        """The identifiers."""
        return State({"words": list(self.words)})

    def load(self, state: State) -> None:
        """Take the identifiers."""
        self.words = state.values["words"]


def build(config: IdsConfig, context: BuildContext) -> Ids:
    """An unfitted encoder."""
    return Ids()


@hookimpl
def provide_encoders() -> list[EncoderSpec]:
    """One-hot identifiers."""
    roles: frozenset[Role] = frozenset({"id"})
    return [
        EncoderSpec(
            name="ids",
            api_version=1,
            source="none: an indicator for each identifier",
            config=IdsConfig,
            build=build,
            roles=roles,
            default_for=roles,
        )
    ]
