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
from recsmith.contracts.plugins import BuildContext, ModelSpec
from recsmith_plugins.blocks.similarity import Similarity, Terms, weigh
from recsmith_plugins.blocks.sparse_state import empty, pack, unpack_csr


class UserKNNConfig(Config):
    """Settings."""

    neighbours: Annotated[int, Int(5, 1000, log=True)] = 100  # users that are asked
    similarity: Similarity = Similarity()


def _largest(similarities: sparse.csr_array, count: int) -> sparse.csr_array:
    """Only the `count` largest entries of every row."""
    kept = []
    for start, end in zip(similarities.indptr[:-1], similarities.indptr[1:], strict=True):
        size = int(end - start)
        best = np.arange(size) if size <= count else np.argpartition(similarities.data[start:end], size - count)
        kept.append(start + np.sort(best[-count:]))
    index = np.concatenate(kept) if kept else np.zeros(0, np.int64)
    indptr = np.concatenate([[0], np.cumsum([len(row) for row in kept], dtype=np.int64)])
    parts = (similarities.data[index], similarities.indices[index], indptr)
    return sparse.csr_array(parts, shape=similarities.shape)


@dataclass
class UserKNN:
    """Score of item j: the sum of the similarities of the nearest users who took j.

    The training users are the model: it keeps their rows. A known user is never among the own neighbours.
    """

    config: UserKNNConfig
    taken: sparse.csr_array = field(default_factory=empty)  # [U, I] float32, raw weights
    terms: Terms = field(default_factory=lambda: Terms(np.zeros(0), 0.0, 0.0))
    by_item: sparse.csr_array = field(default_factory=empty)  # [I, U] float64, the weighted rows transposed

    def fit(self, interactions: Interactions) -> None:
        """Keep the rows of the training users."""
        similarity = self.config.similarity
        self._keep(interactions.histories.matrix(interactions.items, weighted=similarity.weighted))

    def _keep(self, taken: sparse.csr_array) -> None:
        self.taken = taken
        self.terms = Terms.of(taken, self.config.similarity)
        self.by_item = weigh(taken, self.config.similarity, self.terms).T.tocsr()

    def scores(self, requests: Requests) -> FloatArray:
        """Sums of similarities of the nearest training users, [B, I]."""
        similarity = self.config.similarity
        asked = requests.histories.matrix(self.taken.shape[1], weighted=similarity.weighted)
        alike = (weigh(asked, similarity, self.terms) @ self.by_item).astype(np.float32)
        own = np.repeat(requests.user_num, np.diff(alike.indptr)) == alike.indices
        alike.data[own] = 0.0
        alike.eliminate_zeros()
        neighbours = _largest(alike, self.config.neighbours)
        scores: FloatArray = (neighbours @ self._binary()).toarray()
        return scores

    def _binary(self) -> sparse.csr_array:
        ones = np.ones_like(self.taken.data)
        return sparse.csr_array((ones, self.taken.indices, self.taken.indptr), shape=self.taken.shape)

    def state(self) -> State:
        """The rows of the training users."""
        return State(arrays=pack("taken", self.taken))

    def load(self, state: State) -> None:
        """Take the rows."""
        self._keep(unpack_csr("taken", state.arrays))


def build(config: UserKNNConfig, context: BuildContext) -> UserKNN:
    """An unfitted model."""
    return UserKNN(config)


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
    )
    return [spec]
