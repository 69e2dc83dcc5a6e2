"""Item-kNN: recommend what is similar to what the user took, by who else took both."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

import numpy as np
from implicit.nearest_neighbours import all_pairs_knn
from scipy import sparse

from recsmith.contracts.config import Config
from recsmith.contracts.data import FloatArray, Interactions, Requests, State
from recsmith.contracts.domains import Categorical, Int
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import BuildContext, ModelSpec
from recsmith_plugins.blocks.recency import HALF_LIFE, NO_DECAY, weighted_rows
from recsmith_plugins.blocks.similarity import Similarity, Terms, weigh
from recsmith_plugins.blocks.sparse_state import empty, pack, unpack_csr


class ItemKNNConfig(Config):
    """Settings."""

    neighbours: Annotated[int, Int(5, 500, log=True)] = 100  # kept per item; itself is one of them
    similarity: Similarity = Similarity()
    normalise: Annotated[bool, Categorical((False, True))] = False  # an item's similarities sum to 1
    history_half_life: Annotated[float, HALF_LIFE] = 2.0  # in interactions; at the upper end off


@dataclass
class ItemKNN:
    """Score of item j: the sum of the similarities of j to the user's items that have j among their neighbours.

    The catalogue is never squared: fitting holds about 24 bytes x I x neighbours beside 40 bytes per interaction
    (100,000 items, 100 neighbours, 20 million interactions: about 1 GB), the model 8 bytes x I x neighbours.
    """

    config: ItemKNNConfig
    similarities: sparse.csr_array = field(default_factory=empty)  # [I, I]
    ordered: bool = False

    def fit(self, interactions: Interactions) -> None:
        """Find every item's neighbours."""
        similarity = self.config.similarity
        taken = interactions.histories.matrix(interactions.items, weighted=similarity.weighted)
        items = taken.T.tocsr()
        weighted = weigh(items, similarity, Terms.of(items, similarity))
        self.similarities = self._nearest(weighted.T.tocsr())
        self.ordered = interactions.ordered

    def _nearest(self, weighted: sparse.csr_array) -> sparse.csr_array:
        """The largest products of the columns of `weighted` [U, I] with each column, [I, I] float32."""
        indices, indptr = weighted.indices.astype(np.int32), weighted.indptr.astype(np.int32)  # all that implicit takes
        rows = sparse.csr_matrix((weighted.data, indices, indptr), shape=weighted.shape)
        pairs = all_pairs_knn(rows, min(self.config.neighbours, rows.shape[1]), show_progress=False)
        nearest = sparse.csr_array(pairs, dtype=np.float32)
        nearest.eliminate_zeros()
        nearest.sort_indices()
        if self.config.normalise:
            sums = np.repeat(np.asarray(nearest.sum(axis=1)).ravel(), np.diff(nearest.indptr))
            nearest.data = np.divide(nearest.data, sums, out=np.zeros_like(nearest.data), where=sums > 0)
        return nearest

    def scores(self, requests: Requests) -> FloatArray:
        """Sums of similarities to the recency-weighted history, [B, I]."""
        half_life = self.config.history_half_life if self.ordered else NO_DECAY
        rows = weighted_rows(requests.histories, self.similarities.shape[0], half_life)
        scores: FloatArray = (rows @ self.similarities).toarray()
        return scores

    def state(self) -> State:
        """The similarities, and whether order means something."""
        return State({"ordered": self.ordered}, pack("similarities", self.similarities))

    def load(self, state: State) -> None:
        """Take the similarities."""
        self.similarities = unpack_csr("similarities", state.arrays)
        self.ordered = bool(state.values["ordered"])


def build(config: ItemKNNConfig, context: BuildContext) -> ItemKNN:
    """An unfitted model."""
    return ItemKNN(config)


@hookimpl
def provide_models() -> list[ModelSpec]:
    """Item-kNN."""
    spec = ModelSpec(
        name="item_knn",
        api_version=1,
        config=ItemKNNConfig,
        offers=frozenset({"ranking", "new_users"}),
        source=("Deshpande and Karypis 2004, Item-Based Top-N Recommendation Algorithms, doi:10.1145/963770.963776"),
        build=build,
        training="closed_form",
    )
    return [spec]
