"""What every encoder promises, whichever role it reads."""

from importlib import import_module

import numpy as np
import pytest

from recsmith.contracts.data import Column
from recsmith.contracts.plugins import BuildContext
from recsmith.wiring.plugins import load_plugins
from recsmith.wiring.registry import build_registry

TEXTS = ["red shoes for running", "blue shoes", "a red hat and a blue hat", "running in the rain"] * 5
CATEGORIES = [("drama", "war"), ("drama",), ("comedy",), ()] * 5


def objects(values):
    array = np.empty(len(values), object)
    array[:] = values
    return array


def vectors():
    values = np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32)
    values[3] = np.nan
    return values


def column(role):
    """Twenty values of a role; the one in place 3 is missing."""
    values = {
        "id": objects([*"abc", None, *"defghijklmnopqrs"[:16]]),
        "category": objects(["x", "y", "x", None] * 5),
        "categories": objects(CATEGORIES),
        "number": np.where(np.arange(20) == 3, np.nan, np.arange(20.0) ** 2),
        "time": np.where(np.arange(20) == 3, np.nan, 1e9 + 4e6 * np.arange(20.0)),
        "text": objects([*TEXTS[:3], None, *TEXTS[4:]]),
        "vector": vectors(),
    }
    return Column(role, role, values[role])


CASES = [
    ("ids", "id", {}),
    ("category", "category", {}),
    ("categories", "categories", {}),
    ("categories", "categories", {"idf": False}),
    ("number", "number", {}),
    ("number", "number", {"scale": "log"}),
    ("number", "number", {"scale": "quantile"}),
    ("time", "time", {}),
    ("time", "time", {"cycles": False}),
    ("tfidf", "text", {}),
    ("tfidf", "text", {"ngrams": 2, "min_df": 1, "components": 32}),
    ("vector", "vector", {}),
    ("vector", "vector", {"whiten": True}),
]
NAMES = sorted({name for name, _, _ in CASES})
every_case = pytest.mark.parametrize(("name", "role", "params"), CASES)


def built(name, params):
    spec = import_module(f"recsmith_plugins.encoders.{name}").provide_encoders()[0]
    context = BuildContext(0, 0, np.zeros(0, np.int64), 0, "cpu", lambda _kind, _choice: None)
    return spec.build(spec.config(**params), context)


def fitted(name, role, params):
    encoder = built(name, params)
    encoder.fit(column(role))
    return encoder


def dense(matrix):
    return matrix if isinstance(matrix, np.ndarray) else matrix.toarray()


def test_every_encoder_is_found_through_its_entry_point_and_is_the_default_of_one_role():
    registry = build_registry(load_plugins(only=[f"encoder.{name}" for name in NAMES]).manager)
    specs = registry.specs["encoders"]
    assert list(specs) == NAMES
    assert sorted(role for spec in specs.values() for role in spec.default_for) == sorted(
        {role for _, role, _ in CASES}
    )


@every_case
def test_there_is_one_finite_float32_row_per_value(name, role, params):
    features = fitted(name, role, params).features(column(role))
    assert features.shape[0] == 20
    assert features.shape[1] > 0
    assert features.dtype == np.float32
    assert np.isfinite(dense(features)).all()


@every_case
def test_a_missing_value_is_a_row_of_zeros_and_the_others_are_not(name, role, params):
    rows = dense(fitted(name, role, params).features(column(role))).any(axis=1)
    assert not rows[3]
    assert rows[[0, 1]].any()


@every_case
def test_a_loaded_encoder_gives_bit_equal_features(name, role, params):
    encoder, loaded = fitted(name, role, params), built(name, params)
    loaded.load(encoder.state())
    expected, got = (dense(each.features(column(role))) for each in (encoder, loaded))
    assert np.array_equal(expected, got)


@every_case
def test_a_value_is_encoded_alike_alone_and_among_others(name, role, params):
    encoder = fitted(name, role, params)
    together = dense(encoder.features(column(role)))
    alone = dense(encoder.features(column(role).take(np.array([5]))))
    np.testing.assert_allclose(alone[0], together[5], atol=1e-6)


@every_case
def test_a_column_without_any_known_value_can_be_fitted(name, role, params):
    nothing = column(role).take(np.array([3, 3]))
    encoder = built(name, params)
    encoder.fit(nothing)
    assert not dense(encoder.features(nothing)).any()


@every_case
def test_the_column_is_not_written_to(name, role, params):
    given = column(role)
    given.values.flags.writeable = False
    encoder = built(name, params)
    encoder.fit(given)
    encoder.features(given)
