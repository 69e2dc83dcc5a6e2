"""Item-kNN: recommend what is similar to what the user took, by who else took both."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

import numpy as np
from scipy import sparse

from recsmith.contracts.config import Config
from recsmith.contracts.data import FloatArray, Interactions, Requests, State
from recsmith.contracts.domains import Categorical, Int
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import BuildContext, ModelSpec, Sizes
from recsmith_plugins.blocks.recency import HALF_LIFE, NO_DECAY, weighted_rows
from recsmith_plugins.blocks.similarity import (
    Comparison,
    Similarity,
    Terms,
    largest,
    nearest,
    squared_lengths,
    summing_to_one,
    takers,
    tversky,
    weigh,
)
from recsmith_plugins.blocks.sparse_state import empty, pack, unpack_csr

CHUNK = 1 << 22  # pairs of items that are compared at a time where that is done here


class ItemKNNConfig(Config):
    """Settings."""

    neighbours: Annotated[int, Int(5, 500, log=True)] = 100  # kept per item; itself is one of them
    similarity: Similarity = Similarity(weighting="tfidf")
    comparison: Comparison = Comparison()
    normalise: Annotated[bool, Categorical((False, True))] = True  # an item's similarities sum to 1
    history_half_life: Annotated[float, HALF_LIFE] = 2.0  # in interactions; at the upper end off


@dataclass
class ItemKNN:
    """Score of item j: the sum of the similarities to j of the user's items that have j among their neighbours.

    The catalogue is never squared.

    Memory: 64 bytes x interactions (the rows, weighed and turned), 36 bytes x I x neighbours, 0.2 GB to score
    a chunk, and for "tversky" 48 bytes for each of the CHUNK pairs that are compared at a time (or I, if that is more).
    """

    config: ItemKNNConfig
    similarities: sparse.csr_array = field(default_factory=empty)  # [I, I]; a row holds an item's neighbours
    ordered: bool = False

    def fit(self, interactions: Interactions) -> None:
        """Find every item's neighbours."""
        items = takers(interactions.histories, interactions.items, weighted=self.config.similarity.weighted)
        by_sets = self.config.comparison.measure == "tversky"
        found = self._by_sets(items) if by_sets else self._by_products(items)
        self.similarities = summing_to_one(found) if self.config.normalise else found
        self.ordered = interactions.ordered

    def _by_products(self, items: sparse.csr_array) -> sparse.csr_array:
        """The largest products of weighted rows, [I, I] float32.

        A factor that belongs to the first item does not change which neighbours are nearest, so both sides are weighed
        as second ones, which one fast routine serves, and the difference is made good afterwards.
        """
        similarity, asymmetry = self.config.similarity, self.config.comparison.asymmetry
        terms = Terms.of(items, similarity)
        found = nearest(weigh(items, similarity, terms, 1.0 - asymmetry), self.config.neighbours)
        squares = squared_lengths(items, similarity, terms)
        factor = np.where(squares > 0, squares, 1.0) ** (1.0 - 2.0 * asymmetry)
        found.data *= np.repeat(factor, np.diff(found.indptr))
        return found.astype(np.float32)

    def _by_sets(self, items: sparse.csr_array) -> sparse.csr_array:
        """The largest Tversky indices, [I, I] float32, a chunk of items at a time."""
        shrinkage, sizes = self.config.similarity.shrinkage, np.diff(items.indptr)
        ones = sparse.csr_array((np.ones_like(items.data), items.indices, items.indptr), shape=items.shape)
        users = ones.T.tocsr()
        size = max(1, CHUNK // max(1, items.shape[0]))
        chunks = []
        for start in range(0, items.shape[0], size):
            shared = ones[start : start + size] @ users
            index = tversky(shared, (sizes[start : start + size], sizes), self.config.comparison, shrinkage)
            chunks.append(largest(index, self.config.neighbours))
        return sparse.csr_array(sparse.vstack(chunks, format="csr"))

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


def memory(config: ItemKNNConfig, sizes: Sizes) -> float:
    """See `ItemKNN`."""
    kept = sizes.items * min(config.neighbours, sizes.items)
    pairs = max(CHUNK, sizes.items) if config.comparison.measure == "tversky" else 0
    return 64.0 * sizes.interactions + 36.0 * kept + 48.0 * pairs + 0.2e9


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
        memory=memory,
    )
    return [spec]
