"""Biased matrix factorisation against its own objective, scikit-learn's ridge regression and a planted answer."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from recsmith.contracts.data import ABSENT, Histories, Interactions, Requests
from recsmith.contracts.errors import DataError
from recsmith_plugins.models.bias import Bias, BiasConfig
from recsmith_plugins.models.biased_mf import BiasedMF, BiasedMFConfig

USERS, ITEMS, EACH, NOISE = 120, 40, 20, 0.2


@pytest.fixture(scope="module")
def truth():
    """Ratings of everybody for everything: 3 + offsets + a product of two factors."""
    rng = np.random.default_rng(2)
    offsets = rng.normal(0, 0.4, (USERS, 1)) + rng.normal(0, 0.4, (1, ITEMS))
    return 3.0 + offsets + rng.normal(0, 0.8, (USERS, 2)) @ rng.normal(0, 0.8, (2, ITEMS))


@pytest.fixture(scope="module")
def interactions(truth):
    """20 of them from each user, with noise."""
    rng = np.random.default_rng(3)
    items = np.concatenate([rng.permutation(ITEMS)[:EACH] for _ in range(USERS)]).astype(np.int32)
    rows = np.repeat(np.arange(USERS), EACH)
    value = (truth[rows, items] + rng.normal(0, NOISE, len(rows))).astype(np.float32)
    return Interactions(Histories(np.arange(USERS + 1) * EACH, items, value=value), USERS, ITEMS, ordered=False)


def fitted(interactions, **settings):
    model = BiasedMF(BiasedMFConfig(**settings), seed=1)
    model.fit(interactions)
    return model


def of_training(interactions):
    users = np.arange(interactions.users, dtype=np.int32)
    return Requests(users, interactions.histories, histories_are_training=True)


def unseen_error(scores, truth, interactions):
    seen = interactions.histories.matrix(ITEMS).toarray() > 0
    return np.sqrt(np.mean((scores - np.clip(truth, scores.min(), scores.max()))[~seen] ** 2))


def test_it_finds_planted_factors(interactions, truth):
    """The error on what was not rated is about the noise; offsets alone leave the factors' product unexplained."""
    model = fitted(interactions, factors=2, l2=0.3, bias_l2=0.3, iterations=30)
    bias = Bias(BiasConfig())
    bias.fit(interactions)
    requests = of_training(interactions)
    assert unseen_error(model.scores(requests), truth, interactions) < NOISE
    assert unseen_error(bias.scores(requests), truth, interactions) > 4 * NOISE


def test_no_small_step_from_the_solution_lowers_the_objective(interactions):
    """The gradient of the penalised error, written down here once more, vanishes at the end of the alternation."""
    config = BiasedMFConfig(factors=3, l2=8.0, l2_exponent=0.7, bias_l2=2.0, iterations=400)
    model = BiasedMF(config, seed=1)
    model.fit(interactions)
    users, items = model.users.astype(np.float64), model.items.astype(np.float64)
    rated = interactions.histories.matrix(ITEMS).toarray()
    ratings = np.zeros((USERS, ITEMS))
    ratings[interactions.histories.rows, interactions.histories.item_num] = interactions.histories.value
    predicted = model.scale.mean + users[:, -1:] + items[:, -1] + users[:, :-1] @ items[:, :-1].T
    error = rated * (ratings - predicted)
    for own, other, errors in ((users, items, error), (items, users, error.T)):
        counts = (errors != 0).sum(1)
        l2 = config.l2 * (counts / counts.mean()) ** config.l2_exponent
        vectors = errors @ other[:, :-1] - l2[:, None] * own[:, :-1]
        np.testing.assert_allclose(vectors, 0.0, atol=2e-3)
        np.testing.assert_allclose(errors.sum(1) - config.bias_l2 * own[:, -1], 0.0, atol=2e-3)


def test_users_are_scikit_learns_ridge_solutions_given_the_items(interactions):
    model = fitted(interactions, factors=4, l2=3.0, bias_l2=3.0, iterations=5)  # all have as many: one penalty for all
    table = model.items.astype(np.float64)
    table[:, -1] = 1.0
    for user in (0, 17):
        items, value = interactions.histories.of(user), interactions.histories.take(np.array([user])).value
        target = value - model.scale.mean - model.items[items, -1]
        oracle = Ridge(alpha=3.0, fit_intercept=False).fit(table[items], target)
        np.testing.assert_allclose(model.users[user], oracle.coef_, atol=1e-5)


def test_under_a_heavy_penalty_on_vectors_it_is_the_bias_model(interactions):
    bias = Bias(BiasConfig(user_damping=4.0, item_damping=4.0))
    bias.fit(interactions)
    model = fitted(interactions, factors=4, l2=1e9, bias_l2=4.0)
    requests = of_training(interactions)
    np.testing.assert_allclose(model.scores(requests), bias.scores(requests), atol=1e-4)


def test_a_new_user_with_a_known_ones_ratings_is_served_like_that_one(interactions):
    model = fitted(interactions, factors=4)
    known = model.scores(of_training(interactions))
    new = model.scores(Requests(np.full(USERS, ABSENT, np.int32), interactions.histories))
    np.testing.assert_allclose(new, known, atol=1e-4)


def test_without_ratings_known_users_keep_their_vectors_and_new_ones_get_what_items_usually_get(interactions):
    model = fitted(interactions, factors=4)
    histories = interactions.histories.take(np.array([5, 6]))
    bare = Histories(histories.indptr, histories.item_num)
    scores = model.scores(Requests(np.array([5, ABSENT], np.int32), bare))
    np.testing.assert_array_equal(scores[0], model.scores(of_training(interactions))[5])
    usual = np.clip(model.scale.mean + model.items[:, -1], model.scale.low, model.scale.high)
    np.testing.assert_allclose(scores[1], usual, rtol=1e-6)


def test_a_weight_of_two_counts_as_two_ratings(interactions):
    histories = interactions.histories
    times = np.where(np.arange(len(histories.item_num)) % EACH < 3, 2, 1)
    heavy = Histories(histories.indptr, histories.item_num, value=histories.value, weight=times.astype(np.float32))
    twice = Histories(
        np.arange(USERS + 1) * (EACH + 3), np.repeat(histories.item_num, times), value=np.repeat(histories.value, times)
    )
    logs = [
        (Interactions(rows, USERS, ITEMS, ordered=False), weighted)
        for rows, weighted in ((heavy, True), (twice, False))
    ]
    found = [
        fitted(log, factors=3, l2_exponent=0.0, weighted=weighted).scores(of_training(log)) for log, weighted in logs
    ]
    np.testing.assert_allclose(*found, atol=1e-4)


def test_predictions_stay_in_the_range_of_the_ratings(interactions):
    value = np.where(interactions.histories.rows % 2, 5, 4).astype(np.float32)
    histories = Histories(interactions.histories.indptr, interactions.histories.item_num, value=value)
    log = Interactions(histories, USERS, ITEMS, ordered=False)
    scores = fitted(log, factors=2, bias_l2=0.1).scores(of_training(log))
    assert scores.min() >= 4.0
    assert scores.max() <= 5.0


def test_a_log_without_ratings_is_refused_with_a_sentence(interactions):
    bare = Histories(interactions.histories.indptr, interactions.histories.item_num)
    with pytest.raises(DataError, match="biased_mf: the log has no ratings"):
        fitted(Interactions(bare, USERS, ITEMS, ordered=False))
