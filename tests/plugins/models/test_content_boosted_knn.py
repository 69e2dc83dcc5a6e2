"""Content-boosted kNN against cosines of scikit-learn and the definition of its similarity, written densely."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.metrics.pairwise import cosine_similarity

from recsmith.contracts.data import ABSENT, Histories, Interactions, Requests
from recsmith_plugins.blocks.similarity import Similarity
from recsmith_plugins.models import content_boosted_knn
from recsmith_plugins.models.content_boosted_knn import ContentBoostedKNN, ContentBoostedKNNConfig

ITEMS, KNOWN = 20, 17  # nobody took the last three
RNG = np.random.default_rng(3)
FEATURES = RNG.random((ITEMS, 5)).astype(np.float32)
LOG = Interactions(
    Histories(np.arange(0, 301, 6), np.concatenate([np.arange(KNOWN), RNG.integers(0, KNOWN, 283)]).astype(np.int32)),
    50,
    ITEMS,
    ordered=True,
)


def fitted(features, **settings):
    plain = Similarity(weighting="cosine", shrinkage=0.0)
    model = ContentBoostedKNN(ContentBoostedKNNConfig(similarity=plain, **settings), features)
    model.fit(LOG)
    return model


def strongest(dense, count):
    kept = np.zeros_like(dense)
    columns = np.argsort(-dense, axis=1, kind="stable")[:, :count]
    np.put_along_axis(kept, columns, np.take_along_axis(dense, columns, axis=1), axis=1)
    return kept


def scaled(dense):
    return dense / dense.sum(axis=1)[dense.any(axis=1)].mean()


def expected(*, share, prior, lookalikes, neighbours):
    """[I, I] by the definition; a row has an item's neighbours."""
    content = cosine_similarity(FEATURES).astype(np.float64)
    np.fill_diagonal(content, 0.0)
    content[:, KNOWN:] = 0.0
    alike = strongest(content, lookalikes)
    content = scaled(strongest(content, max(neighbours, lookalikes)))
    taken = LOG.histories.matrix(ITEMS).toarray().astype(np.float64)
    collaborative = scaled(strongest(cosine_similarity(taken.T), neighbours))
    own = (LOG.counts / (LOG.counts + prior))[:, None]
    filled = own * collaborative + (1 - own) * (alike / alike.sum(axis=1, keepdims=True)) @ collaborative
    return strongest((1 - share) * filled + share * content, neighbours)


@pytest.mark.parametrize("features", [FEATURES, sparse.csr_array(FEATURES)])
@pytest.mark.parametrize("block", [7, 256])
@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
def test_similarities_follow_the_definition_block_by_block(features, block, share, monkeypatch):
    monkeypatch.setattr(content_boosted_knn, "BLOCK", block)
    model = fitted(features, content_share=share, prior=2.0, lookalikes=5, neighbours=8)
    wanted = expected(share=share, prior=2.0, lookalikes=5, neighbours=8)
    np.testing.assert_allclose(model.similarities.toarray().T, wanted, atol=1e-6)


def test_scores_are_sums_over_the_weighted_history():
    model = fitted(FEATURES, history_half_life=1.0)
    asked = Requests(np.array([ABSENT], np.int32), Histories(np.array([0, 2]), np.array([3, 5], np.int32)))
    dense = model.similarities.toarray()
    np.testing.assert_allclose(model.scores(asked)[0], 0.5 * dense[3] + dense[5], atol=1e-6)


def test_without_any_feature_known_items_keep_neighbours_and_new_ones_have_none():
    similarities = fitted(None).similarities.toarray()
    assert similarities[:, :KNOWN].any()
    assert not similarities[:, KNOWN:].any()


def test_an_item_has_no_more_neighbours_than_asked_for_where_many_are_equally_like_it():
    groups = np.eye(2, dtype=np.float32)[np.arange(ITEMS) % 2]
    similarities = fitted(groups, content_share=1.0, lookalikes=3, neighbours=4).similarities.toarray()
    neighbours = [np.flatnonzero(column).tolist() for column in similarities.T]
    assert neighbours[19] == [1, 3, 5, 7]
    assert neighbours[1] == [3, 5, 7, 9]
