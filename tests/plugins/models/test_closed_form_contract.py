"""What closed-form models promise at settings that the conformance suite, one corner at a time, does not reach."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from recsmith.contracts.config import Choice
from recsmith.contracts.content import Content
from recsmith.contracts.data import ABSENT, Histories, Interactions, Requests
from recsmith.wiring.plugins import load_plugins

USERS, ITEMS = 40, 25
WEIGHTED = [
    ("item_knn", {"similarity": {"weighting": "tfidf", "weighted": True}, "normalise": True}),
    ("user_knn", {"similarity": {"weighting": "tfidf", "weighted": True}}),
    ("ials", {"factors": 8, "weighted": True}),
]
CASES = [("popularity", {"weighting": "window", "days": 2.0}), *WEIGHTED]


@pytest.fixture(scope="module")
def registry():
    return load_plugins(only=["recsmith"]).registry


@pytest.fixture
def interactions():
    rng = np.random.default_rng(3)
    indptr = np.concatenate([[0], np.cumsum(rng.integers(1, 12, USERS))]).astype(np.int64)
    size = int(indptr[-1])
    histories = Histories(
        indptr,
        rng.integers(0, ITEMS, size).astype(np.int32),
        np.sort(rng.integers(0, 10 * 86_400, size)),
        rng.integers(1, 6, size).astype(np.float32),
        rng.integers(1, 4, size).astype(np.float32),
    )
    return Interactions(histories, USERS, ITEMS, ordered=True)


def built(registry, name, params, interactions):
    features = sparse.random_array((ITEMS, 9), density=0.4, rng=np.random.default_rng(1), dtype=np.float32).tocsr()
    fuser = registry.build("fusers", Choice(name="concatenate"), registry.context())
    content = Content(ITEMS, {"column": features}, fuser)
    context = registry.context(item_counts=interactions.counts, users=USERS, item_content=content)
    return registry.build("models", Choice(name=name, params=params), context)


def fitted(registry, name, params, interactions):
    model = built(registry, name, params, interactions)
    model.fit(interactions)
    return model


def training_requests(interactions):
    users = np.arange(interactions.users, dtype=np.int32)
    return Requests(users, interactions.histories, histories_are_training=True)


@pytest.mark.parametrize(("name", "params"), CASES)
def test_read_only_rows_are_enough_and_a_loaded_model_gives_bit_equal_scores(registry, name, params, interactions):
    histories = interactions.histories
    for array in (histories.indptr, histories.item_num, histories.timestamp, histories.value, histories.weight):
        array.flags.writeable = False
    model = fitted(registry, name, params, interactions)
    loaded = built(registry, name, params, interactions)
    loaded.load(model.state())
    requests = training_requests(interactions)
    assert np.array_equal(model.scores(requests), loaded.scores(requests))


@pytest.mark.parametrize(("name", "params"), WEIGHTED)
def test_where_the_log_has_no_weights_every_interaction_weighs_one(registry, name, params, interactions):
    bare = Histories(interactions.histories.indptr, interactions.histories.item_num)
    ones = Histories(bare.indptr, bare.item_num, weight=np.ones(len(bare.item_num), np.float32))
    logs = [Interactions(histories, USERS, ITEMS, ordered=False) for histories in (bare, ones)]
    one, other = (fitted(registry, name, params, log).scores(training_requests(log)) for log in logs)
    assert np.array_equal(one, other)


@pytest.mark.parametrize("name", ["item_knn", "ease", "content_knn"])
def test_the_order_of_a_history_matters_only_where_the_log_has_one(registry, name, interactions):
    one_way = Requests(np.array([ABSENT], np.int32), Histories(np.array([0, 3]), np.array([1, 4, 6], np.int32)))
    other_way = Requests(np.array([ABSENT], np.int32), Histories(np.array([0, 3]), np.array([6, 4, 1], np.int32)))
    unordered = Interactions(interactions.histories, USERS, ITEMS, ordered=False)
    for log, matters in ((interactions, True), (unordered, False)):
        model = fitted(registry, name, {"history_half_life": 2.0}, log)
        assert matters is not np.allclose(model.scores(one_way), model.scores(other_way))
