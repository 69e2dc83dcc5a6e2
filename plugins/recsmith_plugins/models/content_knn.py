"""Content-kNN: recommend what looks like what the user took, by the encoded columns of the item table."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Annotated

import numpy as np

from recsmith.contracts.config import Config
from recsmith.contracts.content import ItemContent
from recsmith.contracts.data import FeatureMatrix, FloatArray, Interactions, Requests, State
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import BuildContext, ModelSpec, Sizes
from recsmith_plugins.blocks.item_features import encoded, unit_rows
from recsmith_plugins.blocks.memory import BASE, chunk_bytes
from recsmith_plugins.blocks.recency import HALF_LIFE, NO_DECAY, weighted_rows


class ContentKNNConfig(Config):
    """Settings."""

    content: ItemContent = ItemContent()
    history_half_life: Annotated[float, HALF_LIFE] = 3.0  # in interactions; at the upper end off


@dataclass
class ContentKNN:
    """Score of an item: the cosine of its features and the recency-weighted mean of the history's.

    Nothing is learnt but the features, so an item that nobody took yet is scored like any other.

    Memory, in bytes: 12 for each of an item's W stored numbers, six times the scores of a chunk, and `BASE`.
    """

    config: ContentKNNConfig
    encoded: FeatureMatrix | None  # [I, F] as the encoders gave it
    items: int
    ordered: bool = False

    @cached_property
    def features(self) -> FeatureMatrix:
        """[I, F], rows of length 1; where no column of the item table is encoded there are none, and scores are 0."""
        return encoded(self.encoded, self.items)

    def fit(self, interactions: Interactions) -> None:
        """Hear whether order means something; there is nothing else to learn."""
        self.ordered = interactions.ordered

    def scores(self, requests: Requests) -> FloatArray:
        """Cosines of profiles and items, [B, I]; 0 for an empty history and for an item without features."""
        half_life = self.config.history_half_life if self.ordered else NO_DECAY
        rows = weighted_rows(requests.histories, self.items, half_life)
        cosines: FeatureMatrix = unit_rows(rows @ self.features) @ self.features.T
        return cosines if isinstance(cosines, np.ndarray) else cosines.toarray()

    def state(self) -> State:
        """Whether order means something; the features are handed over when the model is built."""
        return State({"ordered": self.ordered})

    def load(self, state: State) -> None:
        """Hear whether order means something."""
        self.ordered = bool(state.values["ordered"])


def build(config: ContentKNNConfig, context: BuildContext) -> ContentKNN:
    """An unfitted model."""
    return ContentKNN(config, context.item_features, context.items)


def memory(config: ContentKNNConfig, sizes: Sizes) -> float:
    """Bytes at most: see `ContentKNN`."""
    return BASE + 12 * sizes.width * sizes.items + 6 * chunk_bytes(sizes)


@hookimpl
def provide_models() -> list[ModelSpec]:
    """Content-kNN."""
    spec = ModelSpec(
        name="content_knn",
        api_version=1,
        config=ContentKNNConfig,
        needs=frozenset({"item_features"}),
        offers=frozenset({"ranking", "new_users", "new_items"}),
        source=(
            "Lops, de Gemmis and Semeraro 2011, Content-based Recommender Systems: State of the Art and Trends, "
            "doi:10.1007/978-0-387-85820-3_3"
        ),
        build=build,
        training="closed_form",
        memory=memory,
    )
    return [spec]
