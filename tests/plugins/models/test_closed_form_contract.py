"""What every closed-form model promises, whichever way it computes."""

from __future__ import annotations

from dataclasses import fields
from importlib import import_module

import numpy as np
import pytest
from scipy import sparse

from recsmith.contracts.data import ABSENT, Histories, Interactions, Requests
from recsmith.contracts.plugins import BuildContext
from recsmith.wiring.plugins import load_plugins
from recsmith.wiring.registry import build_registry

USERS, ITEMS = 40, 25
CASES = [
    ("popularity", {}),
    ("popularity", {"weighting": "window", "days": 2.0}),
    ("popularity", {"weighting": "half_life", "days": 2.0}),
    ("item_knn", {"neighbours": 7}),
    ("item_knn", {"similarity": {"weighting": "tfidf", "weighted": True}, "normalise": True}),
    ("item_knn", {"similarity": {"weighting": "bm25"}, "history_half_life": 1000.0}),
    ("user_knn", {"neighbours": 6}),
    ("user_knn", {"similarity": {"weighting": "tfidf", "weighted": True}}),
    ("user_knn", {"similarity": {"weighting": "bm25"}}),
    ("ease", {"l2": 3.0}),
    ("ials", {"factors": 8}),
    ("ials", {"factors": 8, "weighted": True}),
    ("content_knn", {}),
    ("bias", {}),
]
NAMES = sorted({name for name, _ in CASES})
every_case = pytest.mark.parametrize(("name", "params"), CASES)


def spec_of(name):
    return import_module(f"recsmith_plugins.models.{name}").provide_models()[0]


def random_histories(rng, *, lists=USERS):
    lengths = rng.integers(1, 12, lists)
    indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    size = int(indptr[-1])
    return Histories(
        indptr,
        rng.integers(0, ITEMS - 1, size).astype(np.int32),  # the last item is known from the item table only
        np.sort(rng.integers(0, 10 * 86_400, size)),
        rng.integers(1, 6, size).astype(np.float32),
        rng.integers(1, 4, size).astype(np.float32),
    )


@pytest.fixture
def interactions():
    return Interactions(random_histories(np.random.default_rng(3)), USERS, ITEMS, ordered=True)


def context(interactions, seed=0):
    features = sparse.random_array((ITEMS, 9), density=0.4, rng=np.random.default_rng(1), dtype=np.float32).tocsr()
    return BuildContext(USERS, ITEMS, interactions.counts, seed, "cpu", lambda _kind, _choice: None, features)


def fitted(name, params, interactions):
    spec = spec_of(name)
    model = spec.build(spec.config(**params), context(interactions))
    model.fit(interactions)
    return model


def training_requests(interactions):
    users = np.arange(interactions.users, dtype=np.int32)
    return Requests(users, interactions.histories, histories_are_training=True)


def some_requests():
    """A known user with another history, a new user, and both of them without any history."""
    histories = Histories(
        np.array([0, 3, 5, 5, 5]), np.array([1, 4, 1, 0, 2], np.int32), value=np.array([4, 2, 5, 1, 3], np.float32)
    )
    return Requests(np.array([7, ABSENT, 7, ABSENT], np.int32), histories)


def arrays_of(*parts):
    return [
        getattr(part, f.name) for part in parts for f in fields(part) if isinstance(getattr(part, f.name), np.ndarray)
    ]


def test_every_model_is_found_through_its_entry_point():
    registry = build_registry(load_plugins(only=[f"model.{name}" for name in NAMES]).manager)
    assert list(registry.specs["models"]) == NAMES


@every_case
def test_scores_are_finite_float32_for_every_item(name, params, interactions):
    model = fitted(name, params, interactions)
    for requests in (training_requests(interactions), some_requests()):
        scores = model.scores(requests)
        assert (len(requests), ITEMS) == scores.shape
        assert np.float32 == scores.dtype
        assert np.isfinite(scores).all()


@every_case
def test_scores_are_a_fresh_array(name, params, interactions):
    model = fitted(name, params, interactions)
    first = model.scores(some_requests())
    kept = first.copy()
    first[:] = -1.0
    assert np.array_equal(kept, model.scores(some_requests()))


@every_case
def test_a_loaded_model_gives_bit_equal_scores(name, params, interactions):
    model = fitted(name, params, interactions)
    spec = spec_of(name)
    state = model.state()
    loaded = spec.build(spec.config(**params), context(interactions))
    loaded.load(state)
    for requests in (training_requests(interactions), some_requests()):
        assert np.array_equal(model.scores(requests), loaded.scores(requests))
    assert all(array.dtype != object for array in state.arrays.values())


@every_case
def test_two_fits_with_one_seed_are_equal(name, params, interactions):
    requests = training_requests(interactions)
    first, second = (fitted(name, params, interactions).scores(requests) for _ in range(2))
    assert np.array_equal(first, second)


@every_case
def test_the_scores_of_a_request_do_not_depend_on_its_batch(name, params, interactions):
    model = fitted(name, params, interactions)
    requests = training_requests(interactions)
    apart = np.concatenate([model.scores(part) for part in requests.chunks(7)])
    np.testing.assert_allclose(apart, model.scores(requests), rtol=1e-5, atol=1e-6)


@every_case
def test_nothing_that_was_given_is_written_to(name, params, interactions):
    requests = some_requests()
    for array in arrays_of(interactions.histories, requests, requests.histories):
        array.flags.writeable = False
    spec = spec_of(name)
    given = context(interactions)
    features = given.item_features.copy()
    model = spec.build(spec.config(**params), given)
    model.fit(interactions)
    model.scores(requests)
    model.scores(training_requests(interactions))
    assert (features != given.item_features).nnz == 0


@every_case
def test_a_log_without_timestamps_ratings_or_weights_is_served(name, params, interactions):
    if name == "bias":
        pytest.skip("ratings are what it is about")
    bare = Histories(interactions.histories.indptr, interactions.histories.item_num)
    unordered = Interactions(bare, USERS, ITEMS, ordered=False)
    scores = fitted(name, params, unordered).scores(training_requests(unordered))
    assert np.isfinite(scores).all()


@pytest.mark.parametrize("name", NAMES)
def test_every_searched_field_has_its_default_inside_its_domain(name):
    config = spec_of(name).config
    for field in config.model_fields.values():
        for domain in field.metadata:
            if hasattr(domain, "contains"):
                assert domain.contains(field.default)


@pytest.mark.parametrize("name", ["item_knn", "ease", "content_knn"])
def test_the_order_of_a_history_matters_only_where_the_log_has_one(name, interactions):
    one_way = Requests(np.array([ABSENT], np.int32), Histories(np.array([0, 3]), np.array([1, 4, 6], np.int32)))
    other_way = Requests(np.array([ABSENT], np.int32), Histories(np.array([0, 3]), np.array([6, 4, 1], np.int32)))
    unordered = Interactions(interactions.histories, USERS, ITEMS, ordered=False)
    for log, matters in ((interactions, True), (unordered, False)):
        model = fitted(name, {"history_half_life": 2.0}, log)
        assert matters is not np.allclose(model.scores(one_way), model.scores(other_way))
