"""The bias model against scikit-learn's ridge regression on dummy variables."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from recsmith.contracts.data import ABSENT, Histories, Interactions, Requests
from recsmith.contracts.errors import DataError
from recsmith_plugins.models.bias import Bias, BiasConfig

USERS, ITEMS = 30, 12


@pytest.fixture
def interactions():
    rng = np.random.default_rng(8)
    indptr = np.arange(0, USERS * 6 + 1, 6)
    item_num = np.concatenate([rng.permutation(ITEMS)[:6] for _ in range(USERS)]).astype(np.int32)
    value = rng.integers(1, 6, USERS * 6).astype(np.float32)
    return Interactions(Histories(indptr, item_num, value=value), USERS, ITEMS, ordered=True)


@pytest.fixture
def model(interactions):
    model = Bias(BiasConfig(user_damping=4.0, item_damping=4.0))
    model.fit(interactions)
    return model


def test_offsets_are_the_ridge_solution(model, interactions):
    histories = interactions.histories
    dummies = np.hstack([np.eye(USERS)[histories.rows], np.eye(ITEMS)[histories.item_num]])
    ridge = Ridge(alpha=4.0, fit_intercept=False).fit(dummies, histories.value - histories.value.mean())
    np.testing.assert_allclose(np.concatenate([model.offsets.users, model.offsets.items]), ridge.coef_, atol=1e-4)


def test_a_new_user_is_judged_by_the_ratings_of_the_request(model):
    histories = Histories(np.array([0, 2]), np.array([3, 5], np.int32), value=np.array([1, 2], np.float32))
    mean, items = model.offsets.mean, model.offsets.items
    offset = (3 - 2 * mean - items[3] - items[5]) / (2 + 4.0)
    expected = np.clip(mean + offset + items, 1, 5)
    np.testing.assert_allclose(model.scores(Requests(np.array([ABSENT], np.int32), histories))[0], expected, rtol=1e-6)


def test_a_known_user_with_the_training_history_keeps_the_stored_offset(model, interactions):
    users = np.arange(USERS, dtype=np.int32)
    bare = Histories(interactions.histories.indptr, interactions.histories.item_num)
    with_ratings = model.scores(Requests(users, interactions.histories, histories_are_training=True))
    np.testing.assert_allclose(with_ratings, model.scores(Requests(users, bare)), rtol=1e-6)


def test_items_alone_are_the_item_mean_baseline(interactions):
    model = Bias(BiasConfig(offsets="items", item_damping=1e-9))
    model.fit(interactions)
    histories = interactions.histories
    means = [histories.value[histories.item_num == item].mean() for item in range(ITEMS)]
    requests = Requests(np.array([4, ABSENT], np.int32), histories.take(np.array([4, 7])))
    np.testing.assert_allclose(model.scores(requests), [means, means], rtol=1e-6)


def test_users_alone_are_the_user_mean_baseline(interactions):
    model = Bias(BiasConfig(offsets="users", user_damping=1e-9))
    model.fit(interactions)
    histories = interactions.histories.take(np.array([4, 7]))
    means = histories.value.reshape(2, 6).mean(1, keepdims=True)
    scores = model.scores(Requests(np.array([4, ABSENT], np.int32), histories))
    np.testing.assert_allclose(scores, np.repeat(means, ITEMS, axis=1), rtol=1e-6)


def test_a_weight_of_two_counts_as_two_ratings(interactions):
    histories = interactions.histories
    weight = 1.0 + (np.arange(len(histories.item_num)) % 6 == 2)
    heavy = Histories(histories.indptr, histories.item_num, value=histories.value, weight=weight.astype(np.float32))
    times = weight.astype(int)
    indptr = np.concatenate([[0], np.cumsum(np.add.reduceat(times, histories.indptr[:-1]))])
    twice = Histories(indptr, np.repeat(histories.item_num, times), value=np.repeat(histories.value, times))
    found = []
    for rows, weighted in ((heavy, True), (twice, False)):
        model = Bias(BiasConfig(weighted=weighted))
        model.fit(Interactions(rows, USERS, ITEMS, ordered=True))
        found.append(model.scores(Requests(np.arange(USERS, dtype=np.int32), rows)))
    np.testing.assert_allclose(*found, rtol=1e-6)


def test_predictions_stay_in_the_range_of_the_ratings(interactions):
    histories = interactions.histories
    eager = Histories(histories.indptr, histories.item_num, value=np.where(histories.rows % 2, 5, 4).astype(np.float32))
    model = Bias(BiasConfig(user_damping=0.1, item_damping=0.1))
    model.fit(Interactions(eager, USERS, ITEMS, ordered=True))
    scores = model.scores(Requests(np.arange(USERS, dtype=np.int32), eager))
    assert scores.min() >= 4.0
    assert scores.max() <= 5.0


def test_a_log_without_ratings_is_refused_with_a_sentence(interactions):
    bare = Histories(interactions.histories.indptr, interactions.histories.item_num)
    with pytest.raises(DataError, match="no ratings"):
        Bias(BiasConfig()).fit(Interactions(bare, USERS, ITEMS, ordered=True))
