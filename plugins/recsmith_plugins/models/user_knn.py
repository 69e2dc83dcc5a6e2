"""User-kNN: recommend what the users with similar histories took."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

import numpy as np
from scipy import sparse

from recsmith.contracts.config import Config
from recsmith.contracts.data import FloatArray, Interactions, Requests, State
from recsmith.contracts.domains import Int
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import BuildContext, ModelSpec, Sizes
from recsmith_plugins.blocks.similarity import Comparison, Similarity, Terms, largest, tversky, weigh
from recsmith_plugins.blocks.sparse_state import empty, pack, unpack_csr

CHUNK = 1 << 22  # pairs of users that are compared at a time


class UserKNNConfig(Config):
    """Settings."""

    neighbours: Annotated[int, Int(5, 1000, log=True)] = 100  # users that are asked
    similarity: Similarity = Similarity()
    comparison: Comparison = Comparison()


@dataclass
class UserKNN:
    """Score of item j: the sum of the similarities of the nearest users who took j.

    The training users are the model: it keeps their rows. A known user is never among the own neighbours.

    Memory: 64 bytes x interactions (the rows, weighed and turned), 48 bytes for each of the CHUNK pairs of users that
    are compared at a time (or U, if that is more), and 0.2 GB to score a chunk.
    """

    config: UserKNNConfig
    taken: sparse.csr_array = field(default_factory=empty)  # [U, I] float32, raw weights
    terms: Terms = field(default_factory=lambda: Terms(np.zeros(0), 0.0, 0.0))
    by_item: sparse.csr_array = field(default_factory=empty)  # [I, U] float64, what asking rows are multiplied with

    def fit(self, interactions: Interactions) -> None:
        """Keep the rows of the training users."""
        similarity = self.config.similarity
        self._keep(interactions.histories.matrix(interactions.items, weighted=similarity.weighted))

    def _keep(self, taken: sparse.csr_array) -> None:
        similarity, comparison = self.config.similarity, self.config.comparison
        self.taken = taken
        self.terms = Terms.of(taken, similarity)
        by_sets = comparison.measure == "tversky"
        rows = _binary(taken) if by_sets else weigh(taken, similarity, self.terms, 1.0 - comparison.asymmetry)
        self.by_item = rows.T.tocsr()

    def scores(self, requests: Requests) -> FloatArray:
        """Sums of similarities of the nearest training users, [B, I]."""
        scores = np.empty((len(requests), self.taken.shape[1]), np.float32)
        kept, start = _binary(self.taken), 0
        for chunk in requests.chunks(max(1, CHUNK // max(1, self.taken.shape[0]))):
            alike = self._alike(chunk)
            own = np.repeat(chunk.user_num, np.diff(alike.indptr)) == alike.indices
            alike.data[own] = 0.0
            alike.eliminate_zeros()
            neighbours = largest(alike, self.config.neighbours)
            scores[start : start + len(chunk)] = (neighbours @ kept).toarray()
            start += len(chunk)
        return scores

    def _alike(self, requests: Requests) -> sparse.csr_array:
        """Similarities to the training users, [B, U] float32."""
        similarity, comparison = self.config.similarity, self.config.comparison
        asked = requests.histories.matrix(self.taken.shape[1], weighted=similarity.weighted)
        if comparison.measure == "tversky":
            sizes = (np.diff(asked.indptr), np.diff(self.taken.indptr))
            return tversky(_binary(asked) @ self.by_item, sizes, comparison, similarity.shrinkage)
        products: sparse.csr_array = weigh(asked, similarity, self.terms, comparison.asymmetry) @ self.by_item
        return products.astype(np.float32)

    def state(self) -> State:
        """The rows of the training users."""
        return State(arrays=pack("taken", self.taken))

    def load(self, state: State) -> None:
        """Take the rows."""
        self._keep(unpack_csr("taken", state.arrays))


def _binary(rows: sparse.csr_array) -> sparse.csr_array:
    return sparse.csr_array((np.ones_like(rows.data), rows.indices, rows.indptr), shape=rows.shape)


def build(config: UserKNNConfig, context: BuildContext) -> UserKNN:
    """An unfitted model."""
    return UserKNN(config)


def memory(config: UserKNNConfig, sizes: Sizes) -> float:
    """See `UserKNN`."""
    return 64.0 * sizes.interactions + 48.0 * max(CHUNK, sizes.users) + 0.2e9


@hookimpl
def provide_models() -> list[ModelSpec]:
    """User-kNN."""
    spec = ModelSpec(
        name="user_knn",
        api_version=1,
        config=UserKNNConfig,
        offers=frozenset({"ranking", "new_users"}),
        source=(
            "Herlocker, Konstan, Borchers and Riedl 1999, doi:10.1145/312624.312682; weights as in "
            "Ferrari Dacrema, Boglio, Cremonesi and Jannach 2021, doi:10.1145/3434185"
        ),
        build=build,
        training="closed_form",
        memory=memory,
    )
    return [spec]
