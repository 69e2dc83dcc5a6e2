"""Item-kNN and user-kNN against implicit's recommenders and against dense products."""

import numpy as np
import pytest
from implicit.nearest_neighbours import BM25Recommender, CosineRecommender, TFIDFRecommender
from scipy import sparse

from recsmith.contracts.data import ABSENT, Histories, Interactions, Requests
from recsmith.contracts.domains import Float
from recsmith_plugins.blocks.recency import HALF_LIFE, NO_DECAY, weighted_rows
from recsmith_plugins.blocks.similarity import Comparison, Similarity
from recsmith_plugins.models import item_knn, user_knn
from recsmith_plugins.models.item_knn import ItemKNN, ItemKNNConfig
from recsmith_plugins.models.user_knn import UserKNN, UserKNNConfig

USERS, ITEMS = 60, 30
of_implicit_itself = pytest.mark.filterwarnings("ignore:Method expects CSR input")  # its weighting hands it COO


def log(seed=0):
    rng = np.random.default_rng(seed)
    rows = [np.unique(rng.integers(0, ITEMS, rng.integers(2, 15))) for _ in range(USERS)]
    indptr = np.concatenate([[0], np.cumsum([len(row) for row in rows])])
    item_num = np.concatenate([rng.permutation(row) for row in rows]).astype(np.int32)
    return Interactions(Histories(indptr, item_num), USERS, ITEMS, ordered=True)


def dense(interactions):
    return interactions.histories.matrix(interactions.items).toarray().astype(np.float64)


def similarity(weighting, shrinkage=1e-9, **settings):
    """`shrinkage` below its searched range: as good as none, for oracles that have none."""
    return Similarity(weighting=weighting, shrinkage=shrinkage, **settings)


@of_implicit_itself
@pytest.mark.parametrize(
    ("weighting", "oracle"),
    [
        ("cosine", CosineRecommender(K=8)),
        ("tfidf", TFIDFRecommender(K=8)),
        ("bm25", BM25Recommender(K=8, K1=1.2, B=0.75)),
    ],
)
def test_item_similarities_are_those_of_implicit(weighting, oracle):
    interactions = log()
    oracle.fit(sparse.csr_matrix(dense(interactions)), show_progress=False)
    model = ItemKNN(ItemKNNConfig(normalise=False, neighbours=8, similarity=similarity(weighting)))
    model.fit(interactions)
    np.testing.assert_allclose(model.similarities.toarray(), oracle.similarity.toarray(), atol=1e-6)


@of_implicit_itself
@pytest.mark.parametrize("weighting", ["cosine", "tfidf", "bm25"])
def test_user_similarities_are_those_of_implicit_on_the_transposed_log(weighting):
    interactions = log()
    oracle = {"cosine": CosineRecommender, "tfidf": TFIDFRecommender, "bm25": BM25Recommender}[weighting](K=USERS)
    oracle.fit(sparse.csr_matrix(dense(interactions).T), show_progress=False)
    alike = oracle.similarity.toarray()
    np.fill_diagonal(alike, 0.0)
    model = UserKNN(UserKNNConfig(neighbours=1000, similarity=similarity(weighting)))
    model.fit(interactions)
    requests = Requests(np.arange(USERS, dtype=np.int32), interactions.histories, histories_are_training=True)
    np.testing.assert_allclose(model.scores(requests), alike @ dense(interactions), rtol=1e-5, atol=1e-6)


def test_item_scores_sum_the_similarities_of_the_history():
    """Users {0, 1}, {0, 1}, {0, 2}: cosine of 0 and 1 is 2 / sqrt(3 x 2), of 0 and 2 it is 1 / sqrt(3)."""
    histories = Histories(np.array([0, 2, 4, 6]), np.array([0, 1, 0, 1, 0, 2], np.int32))
    settings = ItemKNNConfig(normalise=False, neighbours=5, similarity=similarity("cosine"), history_half_life=NO_DECAY)
    model = ItemKNN(settings)
    model.fit(Interactions(histories, 3, 3, ordered=True))
    asked = Requests(np.array([ABSENT], np.int32), Histories(np.array([0, 2]), np.array([1, 2], np.int32)))
    expected = [2 / np.sqrt(6) + 1 / np.sqrt(3), 1.0, 1.0]
    np.testing.assert_allclose(model.scores(asked)[0], expected, rtol=1e-6)


def tversky(taken, first, second):
    """Of the columns of a dense log of 0 and 1, [I, I]."""
    shared, sizes = taken.T @ taken, taken.sum(0)
    return shared / (shared + first * (sizes[:, None] - shared) + second * (sizes[None, :] - shared))


def asymmetric(taken, asymmetry):
    shared, sizes = taken.T @ taken, taken.sum(0)
    return shared / (sizes[:, None] ** asymmetry * sizes[None, :] ** (1.0 - asymmetry))


COMPARED = [
    (Comparison(measure="tversky", first=0.2, second=1.4), lambda taken: tversky(taken, 0.2, 1.4)),
    (Comparison(asymmetry=0.2), lambda taken: asymmetric(taken, 0.2)),
    (Comparison(asymmetry=0.9), lambda taken: asymmetric(taken, 0.9)),
]


@pytest.mark.parametrize("chunk", [1, 1 << 22])
@pytest.mark.parametrize(("comparison", "oracle"), COMPARED)
def test_an_item_keeps_those_that_are_nearest_as_seen_from_it(comparison, oracle, chunk, monkeypatch):
    monkeypatch.setattr(item_knn, "CHUNK", chunk)
    model = ItemKNN(
        ItemKNNConfig(normalise=False, neighbours=ITEMS, similarity=similarity("cosine"), comparison=comparison)
    )
    model.fit(log())
    whole = oracle(dense(log()))
    np.testing.assert_allclose(model.similarities.toarray(), whole, atol=1e-6)
    few = ItemKNN(ItemKNNConfig(normalise=False, neighbours=6, similarity=similarity("cosine"), comparison=comparison))
    few.fit(log())
    kept = few.similarities.toarray()
    assert (few.similarities.sum(axis=1) > 0).all()
    np.testing.assert_allclose(np.sort(kept, axis=1)[:, -6:], np.sort(whole, axis=1)[:, -6:], atol=1e-6)
    np.testing.assert_allclose(kept[kept > 0], whole[kept > 0], atol=1e-6)


@pytest.mark.parametrize("chunk", [1, 1 << 22])
@pytest.mark.parametrize(("comparison", "oracle"), COMPARED)
def test_users_are_compared_as_seen_from_the_one_who_asks(comparison, oracle, chunk, monkeypatch):
    monkeypatch.setattr(user_knn, "CHUNK", chunk)
    taken = dense(log())
    alike = oracle(taken.T)
    np.fill_diagonal(alike, 0.0)
    model = UserKNN(UserKNNConfig(neighbours=1000, similarity=similarity("cosine"), comparison=comparison))
    model.fit(log())
    requests = Requests(np.arange(USERS, dtype=np.int32), log().histories, histories_are_training=True)
    np.testing.assert_allclose(model.scores(requests), alike @ taken, rtol=1e-5, atol=1e-6)


def test_shrinkage_adds_pseudo_users_to_every_item():
    taken = dense(log())
    shrunk = taken.T @ taken / np.sqrt(np.outer(taken.sum(0) + 4, taken.sum(0) + 4))
    model = ItemKNN(ItemKNNConfig(normalise=False, neighbours=500, similarity=similarity("cosine", shrinkage=4.0)))
    model.fit(log())
    np.testing.assert_allclose(model.similarities.toarray(), shrunk, atol=1e-6)


def test_normalised_similarities_of_an_item_sum_to_one():
    model = ItemKNN(ItemKNNConfig(neighbours=6, normalise=True))
    model.fit(log())
    np.testing.assert_allclose(np.asarray(model.similarities.sum(axis=1)).ravel(), 1.0, rtol=1e-5)


def test_only_the_nearest_users_are_asked():
    """The asker has {0, 1}; user 0 has {0, 1, 2}, user 1 has {0, 3, 4}: with one neighbour user 1 says nothing."""
    histories = Histories(np.array([0, 3, 6]), np.array([0, 1, 2, 0, 3, 4], np.int32))
    asked = Requests(np.array([ABSENT], np.int32), Histories(np.array([0, 2]), np.array([0, 1], np.int32)))
    model = UserKNN(UserKNNConfig(neighbours=1, similarity=similarity("cosine")))
    model.fit(Interactions(histories, 2, 5, ordered=True))
    cosine = 2 / np.sqrt(2 * 3)
    np.testing.assert_allclose(model.scores(asked)[0], [cosine, cosine, cosine, 0, 0], rtol=1e-6)


def test_repeats_count_only_where_the_settings_say_so():
    histories = Histories(np.array([0, 3, 5]), np.array([0, 0, 1, 0, 1], np.int32))
    repeated = Interactions(histories, 2, 2, ordered=True)
    for weighted, expected in ((False, 1.0), (True, 3 / np.sqrt(5 * 2))):
        model = ItemKNN(ItemKNNConfig(normalise=False, similarity=similarity("cosine", weighted=weighted)))
        model.fit(repeated)
        np.testing.assert_allclose(model.similarities.toarray()[0, 1], expected, rtol=1e-6)


def test_recency_halves_with_every_half_life_and_the_newest_occurrence_counts():
    histories = Histories(np.array([0, 4, 4, 5]), np.array([2, 0, 2, 1, 3], np.int32))
    rows = weighted_rows(histories, 4, half_life=1.0).toarray()
    assert rows.tolist() == [[0.25, 1.0, 0.5, 0.0], [0, 0, 0, 0], [0, 0, 0, 1.0]]


def test_the_upper_end_of_the_half_life_is_exactly_off():
    assert isinstance(HALF_LIFE, Float)
    assert HALF_LIFE.high == NO_DECAY
    histories = log().histories
    assert np.array_equal(weighted_rows(histories, ITEMS, NO_DECAY).toarray(), histories.matrix(ITEMS).toarray())


def test_a_catalogue_that_no_square_matrix_fits_is_served():
    """100,000 items would be 40 GB as a square."""
    rng = np.random.default_rng(0)
    users, items = 2_000, 100_000
    indptr = np.arange(0, users * 20 + 1, 20)
    item_num = (items * rng.random(users * 20) ** 3).astype(np.int32)
    model = ItemKNN(ItemKNNConfig(neighbours=20))
    model.fit(Interactions(Histories(indptr, item_num), users, items, ordered=True))
    assert model.similarities.nnz <= 20 * items
