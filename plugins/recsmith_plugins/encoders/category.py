"""One-hot of a column with one category per row."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

from recsmith.contracts.config import Config
from recsmith.contracts.data import Column, FeatureMatrix, Role, State
from recsmith.contracts.domains import Int
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import BuildContext, EncoderSpec
from recsmith_plugins.blocks.vocabulary import frequent, indicators

if TYPE_CHECKING:
    from collections.abc import Sequence


class CategoryConfig(Config):
    """Settings."""

    min_count: Annotated[int, Int(1, 50, log=True)] = 2  # a category that fewer rows share says nothing of others


def _rows(column: Column) -> list[tuple[str, ...]]:
    return [() if value is None else (value,) for value in column.values]


@dataclass
class Category:
    """One-hot rows, [R, categories]. Missing, rare and unseen categories are rows of zeros."""

    config: CategoryConfig
    words: Sequence[str] = field(default_factory=list)

    def fit(self, column: Column) -> None:
        """List the categories that are frequent enough."""
        self.words = frequent(_rows(column), self.config.min_count)

    def features(self, column: Column) -> FeatureMatrix:
        """One-hot rows."""
        return indicators(_rows(column), self.words)

    def labels(self) -> list[str]:
        """The categories."""
        return list(self.words)

    def state(self) -> State:
        """The categories."""
        return State({"words": list(self.words)})

    def load(self, state: State) -> None:
        """Take the categories."""
        self.words = state.values["words"]


def build(config: CategoryConfig, context: BuildContext) -> Category:
    """An unfitted encoder."""
    return Category(config)


@hookimpl
def provide_encoders() -> list[EncoderSpec]:
    """One-hot categories."""
    roles: frozenset[Role] = frozenset({"category"})
    spec = EncoderSpec(
        name="category",
        api_version=1,
        source="none: an indicator for each category",
        config=CategoryConfig,
        build=build,
        roles=roles,
        default_for=roles,
    )
    return [spec]
