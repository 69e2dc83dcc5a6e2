"""Item-kNN for ratings against the published formulas, written as loops over users and items."""

from __future__ import annotations

import math

import numpy as np
import pytest

from recsmith.contracts.data import ABSENT, Histories, Interactions, Requests
from recsmith.contracts.errors import DataError
from recsmith_plugins.models import item_knn_ratings
from recsmith_plugins.models.bias import Bias, BiasConfig
from recsmith_plugins.models.item_knn_ratings import ItemKNNRatings, ItemKNNRatingsConfig

USERS, ITEMS = 25, 11


@pytest.fixture(scope="module")
def interactions():
    rng = np.random.default_rng(6)
    lengths = rng.integers(1, 9, USERS)
    items = np.concatenate([rng.permutation(ITEMS - 1)[:length] for length in lengths]).astype(np.int32)
    indptr = np.concatenate([[0], np.cumsum(lengths)])
    value = rng.integers(1, 6, len(items)).astype(np.float32)
    return Interactions(Histories(indptr, items, value=value), USERS, ITEMS, ordered=False)  # the last has no rating


def fitted(interactions, **settings):
    model = ItemKNNRatings(ItemKNNRatingsConfig(**settings))
    model.fit(interactions)
    return model


def of_training(interactions):
    users = np.arange(interactions.users, dtype=np.int32)
    return Requests(users, interactions.histories, histories_are_training=True)


def expected_ratings(interactions, config):
    """e_ui for everybody and everything, [U, I], before any cut: that of the bias model."""
    bias = Bias(BiasConfig(offsets=config.centring, user_damping=config.user_damping, item_damping=config.item_damping))
    bias.fit(interactions)
    offsets = bias.offsets
    return offsets.mean + offsets.users[:, None] + offsets.items


def naive(interactions, config):
    """Predictions by loops, [U, I]."""
    base = expected_ratings(interactions, config)
    rated = [set(interactions.histories.of(user).tolist()) for user in range(USERS)]
    deviation = np.full((USERS, ITEMS), np.nan)
    histories = interactions.histories
    deviation[histories.rows, histories.item_num] = histories.value - base[histories.rows, histories.item_num]
    similarity = np.zeros((ITEMS, ITEMS))
    for one in range(ITEMS):
        for other in range(ITEMS):
            shared = [user for user in range(USERS) if one in rated[user] and other in rated[user]]
            if one == other or not shared:
                continue
            over = range(USERS) if config.lengths == "all" else shared
            lengths = [math.sqrt(np.nansum(deviation[list(over), item] ** 2)) for item in (one, other)]
            cosine = sum(deviation[user, one] * deviation[user, other] for user in shared) / math.prod(lengths)
            similarity[one, other] = max(0.0, cosine * len(shared) / (len(shared) + config.shrinkage))
    predicted = base.copy()
    for user in range(USERS):
        for item in range(ITEMS):
            nearest = sorted(range(ITEMS), key=lambda other: -similarity[item, other])[: config.neighbours]
            known = [other for other in nearest if other in rated[user]]
            total = sum(similarity[item, other] for other in known) + config.pull
            predicted[user, item] += sum(similarity[item, other] * deviation[user, other] for other in known) / total
    return np.clip(predicted, histories.value.min(), histories.value.max())


@pytest.mark.parametrize("lengths", ["all", "shared"])
@pytest.mark.parametrize("centring", ["both", "items", "users"])
@pytest.mark.parametrize("neighbours", [3, ITEMS])
def test_it_is_the_published_formula(interactions, lengths, centring, neighbours):
    settings = {"lengths": lengths, "centring": centring, "neighbours": neighbours, "shrinkage": 2.0, "pull": 0.1}
    model = fitted(interactions, **settings)
    found = model.scores(of_training(interactions))
    np.testing.assert_allclose(found, naive(interactions, model.config), atol=1e-5)


@pytest.mark.parametrize("lengths", ["all", "shared"])
def test_items_compared_a_few_at_a_time_have_the_same_neighbours(interactions, lengths, monkeypatch):
    whole = fitted(interactions, lengths=lengths).scores(of_training(interactions))
    monkeypatch.setattr(item_knn_ratings, "CHUNK", 3 * ITEMS)
    np.testing.assert_array_equal(fitted(interactions, lengths=lengths).scores(of_training(interactions)), whole)


def test_a_rating_is_told_from_the_item_that_is_rated_alike():
    """Items 0 and 1 are always rated alike, and 2 the other way: who loved 0 is told to love 1 and nothing of 2."""
    value = np.array([[5, 5, 1], [1, 1, 5]] * 10, np.float32)
    items = np.tile(np.arange(3, dtype=np.int32), 20)
    log = Interactions(Histories(np.arange(21) * 3, items, value=value.ravel()), 20, 3, ordered=False)
    model = fitted(log, centring="items", shrinkage=1e-9, pull=1e-9)
    request = Requests(
        np.array([ABSENT], np.int32),
        Histories(np.array([0, 1]), np.array([0], np.int32), value=np.array([5], np.float32)),
    )
    np.testing.assert_allclose(model.scores(request), [[3.0, 5.0, 3.0]], atol=1e-5)  # an item is not its own neighbour


def test_a_new_user_with_a_known_ones_ratings_is_served_like_that_one(interactions):
    model = fitted(interactions)
    new = Requests(np.full(USERS, ABSENT, np.int32), interactions.histories)
    np.testing.assert_allclose(model.scores(new), model.scores(of_training(interactions)), atol=1e-6)


def test_without_ratings_the_expectation_is_told(interactions):
    model = fitted(interactions)
    histories = interactions.histories.take(np.array([5, 6]))
    bare = Histories(histories.indptr, histories.item_num)
    scores = model.scores(Requests(np.array([5, ABSENT], np.int32), bare))
    base = expected_ratings(interactions, model.config)
    usual = np.clip(np.stack([base[5], model.offsets.mean + model.offsets.items]), 1, 5)
    np.testing.assert_allclose(scores, usual, rtol=1e-6)


def test_a_rating_given_twice_counts_as_its_mean(interactions):
    model = fitted(interactions, centring="items")
    twice = Histories(np.array([0, 3]), np.array([2, 5, 2], np.int32), value=np.array([1, 4, 4], np.float32))
    once = Histories(np.array([0, 2]), np.array([2, 5], np.int32), value=np.array([2.5, 4], np.float32))
    new = np.array([ABSENT], np.int32)
    np.testing.assert_allclose(model.scores(Requests(new, twice)), model.scores(Requests(new, once)), rtol=1e-6)


def test_a_log_without_ratings_is_refused_with_a_sentence(interactions):
    bare = Histories(interactions.histories.indptr, interactions.histories.item_num)
    with pytest.raises(DataError, match="item_knn_ratings: the log has no ratings"):
        fitted(Interactions(bare, USERS, ITEMS, ordered=False))
