"""Content-kNN: recommend what looks like what the user took, by the encoded columns of the item table."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

import numpy as np
from sklearn.preprocessing import normalize

from recsmith.contracts.config import Config
from recsmith.contracts.content import ItemContent
from recsmith.contracts.data import FeatureMatrix, FloatArray, Interactions, Requests, State
from recsmith.contracts.errors import PlanError
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import BuildContext, ModelSpec
from recsmith_plugins.blocks.recency import HALF_LIFE, NO_DECAY, weighted_rows
from recsmith_plugins.blocks.sparse_state import pack, unpack


class ContentKNNConfig(Config):
    """Settings."""

    content: ItemContent = ItemContent()
    history_half_life: Annotated[float, HALF_LIFE] = 3.0  # in interactions; at the upper end off


@dataclass
class ContentKNN:
    """Score of an item: the cosine of its features and the recency-weighted mean of the history's.

    Nothing is learnt but the features, so an item that nobody took yet is scored like any other.
    """

    config: ContentKNNConfig
    encoded: FeatureMatrix | None  # [I, F] as the encoders gave it
    features: FeatureMatrix = field(default_factory=lambda: np.zeros((0, 0), np.float32))  # [I, F], rows of length 1
    ordered: bool = False

    def fit(self, interactions: Interactions) -> None:
        """Normalise the features.

        Raises:
            PlanError: no column of the item table is encoded.
        """
        if self.encoded is None or not self.encoded.shape[1]:
            raise PlanError("content_knn: no item column is encoded. Name at least one under content.encoders.")
        self.features = normalize(self.encoded)
        self.ordered = interactions.ordered

    def scores(self, requests: Requests) -> FloatArray:
        """Cosines of profiles and items, [B, I]; 0 for an empty history and for an item without features."""
        half_life = self.config.history_half_life if self.ordered else NO_DECAY
        rows = weighted_rows(requests.histories, self.features.shape[0], half_life)
        cosines: FeatureMatrix = normalize(rows @ self.features) @ self.features.T
        return cosines if isinstance(cosines, np.ndarray) else cosines.toarray()

    def state(self) -> State:
        """The features, and whether order means something."""
        return State({"ordered": self.ordered}, pack("features", self.features))

    def load(self, state: State) -> None:
        """Take the features; no encoder is needed any more."""
        self.features = unpack("features", state.arrays)
        self.ordered = bool(state.values["ordered"])


def build(config: ContentKNNConfig, context: BuildContext) -> ContentKNN:
    """An unfitted model."""
    return ContentKNN(config, context.item_features)


@hookimpl
def provide_models() -> list[ModelSpec]:
    """Content-kNN."""
    spec = ModelSpec(
        name="content_knn",
        api_version=1,
        config=ContentKNNConfig,
        needs=frozenset({"item_features"}),
        offers=frozenset({"ranking", "new_users", "new_items"}),
        source="Lops, de Gemmis and Semeraro 2011, Content-based Recommender Systems: State of the Art and Trends",
        build=build,
        training="closed_form",
    )
    return [spec]
