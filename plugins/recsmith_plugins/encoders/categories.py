"""Multi-hot of a column with several categories per row (genres, tags)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

import numpy as np
from scipy import sparse

from recsmith.contracts.config import Config
from recsmith.contracts.data import Column, FeatureMatrix, FloatArray, Role, State
from recsmith.contracts.domains import Categorical, Int
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import BuildContext, EncoderSpec
from recsmith_plugins.blocks.vocabulary import frequent, indicators

if TYPE_CHECKING:
    from collections.abc import Sequence


class CategoriesConfig(Config):
    """Settings."""

    min_count: Annotated[int, Int(1, 50, log=True)] = 2  # a category that fewer rows share says nothing of others
    idf: Annotated[bool, Categorical((False, True))] = True  # rare categories weigh more: ln((1 + R) / (1 + df)) + 1


def _rows(column: Column) -> list[tuple[str, ...]]:
    return [value or () for value in column.values]


@dataclass
class Categories:
    """Multi-hot rows, [R, categories]. A row without a known category is a row of zeros."""

    config: CategoriesConfig
    words: Sequence[str] = field(default_factory=list)
    weights: FloatArray = field(default_factory=lambda: np.zeros(0, np.float32))  # [categories]

    def fit(self, column: Column) -> None:
        """List the categories that are frequent enough, and weigh them."""
        rows = _rows(column)
        self.words = frequent(rows, self.config.min_count)
        shared = np.bincount(indicators(rows, self.words).indices, minlength=len(self.words))
        idf = np.log((1 + len(rows)) / (1 + shared)) + 1
        self.weights = idf.astype(np.float32) if self.config.idf else np.ones(len(self.words), np.float32)

    def features(self, column: Column) -> FeatureMatrix:
        """Weighted multi-hot rows."""
        found = indicators(_rows(column), self.words)
        return sparse.csr_array((self.weights[found.indices], found.indices, found.indptr), shape=found.shape)

    def labels(self) -> list[str]:
        """The categories."""
        return list(self.words)

    def state(self) -> State:
        """The categories and their weights."""
        return State({"words": list(self.words)}, {"weights": self.weights})

    def load(self, state: State) -> None:
        """Take the categories and their weights."""
        self.words, self.weights = state.values["words"], state.arrays["weights"]


def build(config: CategoriesConfig, context: BuildContext) -> Categories:
    """An unfitted encoder."""
    return Categories(config)


@hookimpl
def provide_encoders() -> list[EncoderSpec]:
    """Multi-hot categories."""
    roles: frozenset[Role] = frozenset({"categories"})
    spec = EncoderSpec(
        name="categories",
        api_version=1,
        source="https://scikit-learn.org/stable/modules/feature_extraction.html (idf, smoothed)",
        config=CategoriesConfig,
        build=build,
        roles=roles,
        default_for=roles,
    )
    return [spec]
