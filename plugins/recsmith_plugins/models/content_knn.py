"""Content-kNN: recommend what looks like what the user took, by the encoded columns of the item table."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any

import numpy as np
from sklearn.preprocessing import normalize

from recsmith.contracts.config import Config
from recsmith.contracts.content import ItemContent
from recsmith.contracts.data import FeatureMatrix, FloatArray, Interactions, Requests, State
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
        """Normalise the features; where no column of the item table is encoded there are none, and all scores are 0."""
        encoded = np.zeros((interactions.items, 0), np.float32) if self.encoded is None else self.encoded
        self.features = _unit_rows(encoded)
        self.ordered = interactions.ordered

    def scores(self, requests: Requests) -> FloatArray:
        """Cosines of profiles and items, [B, I]; 0 for an empty history and for an item without features."""
        half_life = self.config.history_half_life if self.ordered else NO_DECAY
        rows = weighted_rows(requests.histories, self.features.shape[0], half_life)
        cosines: FeatureMatrix = _unit_rows(rows @ self.features) @ self.features.T
        return cosines if isinstance(cosines, np.ndarray) else cosines.toarray()

    def state(self) -> State:
        """The features, and whether order means something."""
        return State({"ordered": self.ordered}, pack("features", self.features))

    def load(self, state: State) -> None:
        """Take the features; no encoder is needed any more."""
        self.features = unpack("features", state.arrays)
        self.ordered = bool(state.values["ordered"])


def _unit_rows(matrix: Any) -> Any:
    """Rows of length 1, or of zeros, in a matrix of the same kind; scikit-learn refuses one without columns."""
    return normalize(matrix) if matrix.shape[1] else matrix


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
        source=(
            "Lops, de Gemmis and Semeraro 2011, Content-based Recommender Systems: State of the Art and Trends, "
            "doi:10.1007/978-0-387-85820-3_3"
        ),
        build=build,
        training="closed_form",
    )
    return [spec]
