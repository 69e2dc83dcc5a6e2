"""Content-boosted item-kNN: similar by who took it and by its columns, which fill in where takers are few."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any

import numpy as np
from scipy import sparse

from recsmith.contracts.config import Config
from recsmith.contracts.content import ItemContent
from recsmith.contracts.data import (
    BoolArray,
    DoubleArray,
    FeatureMatrix,
    FloatArray,
    Interactions,
    LongArray,
    Requests,
    State,
)
from recsmith.contracts.domains import Float, Int
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import BuildContext, ModelSpec, Sizes
from recsmith_plugins.blocks.item_features import encoded
from recsmith_plugins.blocks.memory import BASE, chunk_bytes
from recsmith_plugins.blocks.recency import HALF_LIFE, NO_DECAY, weighted_rows
from recsmith_plugins.blocks.similarity import Similarity, Terms, weigh
from recsmith_plugins.blocks.sparse_state import empty, pack, unpack_csr

BLOCK = 256  # items whose similarities to all others are held at a time


class ContentBoostedKNNConfig(Config):
    """Settings.

    `content_share` is w, the part of the content in a similarity. `prior` is k: an item of n interactions takes
    k / (n + k) of its collaborative similarities from its `lookalikes`, the items most like it by content.
    """

    content: ItemContent = ItemContent()
    neighbours: Annotated[int, Int(5, 500, log=True)] = 200  # kept per item
    similarity: Similarity = Similarity(weighting="cosine")
    content_share: Annotated[float, Float(0.0, 1.0)] = 0.3
    prior: Annotated[float, Float(0.1, 100.0, log=True)] = 3.0
    lookalikes: Annotated[int, Int(5, 200, log=True)] = 20
    history_half_life: Annotated[float, HALF_LIFE] = NO_DECAY  # in interactions; at the upper end off


@dataclass
class ContentBoostedKNN:
    """Score of item j: the sum of the similarities of j to the user's items that are among its neighbours.

    Similarity is (1 - w) x collaborative + w x cosine of features, each in units of its mean sum over an item's
    neighbours. As in Melville et al. 2002, where content predicts the ratings that are missing, an item with few
    interactions is filled in: its collaborative similarities are blended with the mean of those of its lookalikes,
    weighted by cosine, and a new item has theirs alone. The catalogue is never squared: a block of items at a time.

    Memory, in bytes: 64 for each interaction, 72 for each neighbour that is kept (or lookalike, if they are more) and
    16 for each of the W stored numbers of an item, 64 for each similarity of a block, thrice the scores of a chunk, and
    `BASE`.
    """

    config: ContentBoostedKNNConfig
    features: FeatureMatrix | None  # [I, F]
    similarities: sparse.csr_array = field(default_factory=empty)  # [I, I], columns hold an item's neighbours
    ordered: bool = False

    def fit(self, interactions: Interactions) -> None:
        """Find every item's neighbours: by who took it, by content, by lookalikes, then all together."""
        config = self.config
        counts = interactions.counts
        taken = interactions.histories.matrix(interactions.items, weighted=config.similarity.weighted)
        documents = taken.T.tocsr()
        weighted = weigh(documents, config.similarity, Terms.of(documents, config.similarity))
        collaborative = _strongest(weighted, config.neighbours, np.ones(len(counts), np.bool_), themselves=True)
        features = encoded(self.features, interactions.items)
        content = _strongest(features, max(config.neighbours, config.lookalikes), counts > 0, themselves=False)
        self.similarities = self._joined(_scaled(collaborative), _scaled(content), counts)
        self.ordered = interactions.ordered

    def _joined(
        self, collaborative: sparse.csr_array, content: sparse.csr_array, counts: LongArray
    ) -> sparse.csr_array:
        """The similarities of both sorts in one, [I, I]: of history items (rows) to the items that they speak for."""
        config = self.config
        own = counts / (counts + config.prior)
        blocks = []
        for start in range(0, len(counts), BLOCK):
            place = slice(start, start + BLOCK)
            lookalikes = _largest(content[place].toarray(), config.lookalikes)
            sums = np.maximum(np.asarray(lookalikes.sum(axis=1)).ravel(), 1e-12)
            filled = sparse.diags_array((1.0 - own[place]) / sums) @ lookalikes @ collaborative
            boosted = sparse.diags_array(own[place]) @ collaborative[place] + filled
            joined = (1.0 - config.content_share) * boosted + config.content_share * content[place]
            blocks.append(_largest(joined.toarray(), config.neighbours))
        nearest = sparse.vstack(blocks, format="csr").astype(np.float32)
        return sparse.csr_array(nearest.T.tocsr())

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


def _strongest(rows: Any, count: int, among: BoolArray, *, themselves: bool) -> sparse.csr_array:
    """The `count` largest products of each row of `rows` [I, n] with the rows `among` them, [I, I] float64."""
    columns: Any = rows.T if isinstance(rows, np.ndarray) else rows.T.tocsr()
    blocks = []
    for start in range(0, rows.shape[0], BLOCK):
        products = rows[start : start + BLOCK] @ columns
        dense = np.array(products if isinstance(products, np.ndarray) else products.toarray(), np.float64)
        dense[:, ~among] = 0.0
        if not themselves:
            place = np.arange(len(dense))
            dense[place, start + place] = 0.0
        blocks.append(_largest(dense, count))
    return sparse.csr_array(sparse.vstack(blocks, format="csr"))


def _largest(dense: DoubleArray, count: int) -> sparse.csr_array:
    """The `count` largest positive values of every row; of equal ones at the cut those of the first columns."""
    count = min(count, dense.shape[1])
    cut = np.partition(dense, dense.shape[1] - count, axis=1)[:, dense.shape[1] - count, None]
    kept = (dense >= cut) & (dense > 0.0)
    surplus = kept.sum(axis=1) - count
    for row in np.flatnonzero(surplus > 0):  # alike to many, as where a category is all that is known
        tied = np.flatnonzero(kept[row] & (dense[row] == cut[row]))
        kept[row, tied[-surplus[row] :]] = False
    return sparse.csr_array(np.where(kept, dense, 0.0))


def _scaled(similarities: sparse.csr_array) -> sparse.csr_array:
    """The same in units of the mean sum of the rows that have any."""
    sums = np.asarray(similarities.sum(axis=1)).ravel()
    mean = float(sums[sums > 0].mean()) if (sums > 0).any() else 1.0
    return sparse.csr_array(similarities / mean)


def build(config: ContentBoostedKNNConfig, context: BuildContext) -> ContentBoostedKNN:
    """An unfitted model."""
    return ContentBoostedKNN(config, context.item_features)


def memory(config: ContentBoostedKNNConfig, sizes: Sizes) -> float:
    """Bytes at most: see `ContentBoostedKNN`."""
    kept = min(max(config.neighbours, config.lookalikes), sizes.items)
    items = (72 * kept + 16 * sizes.width + 64 * BLOCK) * sizes.items
    return BASE + 64 * sizes.interactions + items + 3 * chunk_bytes(sizes)


@hookimpl
def provide_models() -> list[ModelSpec]:
    """Content-boosted item-kNN."""
    spec = ModelSpec(
        name="content_boosted_knn",
        api_version=1,
        config=ContentBoostedKNNConfig,
        needs=frozenset({"item_features"}),
        offers=frozenset({"ranking", "new_users", "new_items"}),
        source=(
            "Melville, Mooney and Nagarajan 2002, Content-Boosted Collaborative Filtering for Improved "
            "Recommendations, AAAI, https://www.cs.utexas.edu/~ml/papers/cbcf-aaai-02.pdf; Deshpande and Karypis "
            "2004, doi:10.1145/963770.963776"
        ),
        build=build,
        training="closed_form",
        memory=memory,
    )
    return [spec]
