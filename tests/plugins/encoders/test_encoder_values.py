"""Features that were worked out by hand or by scikit-learn."""

import json
from importlib import import_module

import numpy as np
import pytest
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import StandardScaler

from recsmith.contracts.data import Column
from recsmith.contracts.plugins import BuildContext


def encode(name, role, values, asked=None, **params):
    """Fit on `values`, then encode `asked` (or the same); dense."""
    spec = import_module(f"recsmith_plugins.encoders.{name}").provide_encoders()[0]
    context = BuildContext(0, 0, np.zeros(0, np.int64), 0, "cpu", lambda _kind, _choice: None)
    encoder = spec.build(spec.config(**params), context)
    encoder.fit(Column("c", role, values))
    json.dumps(dict(encoder.state().values))
    features = encoder.features(Column("c", role, values if asked is None else asked))
    return features if isinstance(features, np.ndarray) else features.toarray()


def objects(*values):
    array = np.empty(len(values), object)
    array[:] = values
    return array


def test_ids_are_one_hot_and_an_unseen_one_is_nothing():
    assert encode("ids", "id", objects("b", "a"), objects("a", "z", "b")).tolist() == [[1, 0], [0, 0], [0, 1]]


def test_rare_categories_are_left_out():
    values = objects("x", "y", "x", "rare", "y")
    assert encode("category", "category", values).tolist() == [[1, 0], [0, 1], [1, 0], [0, 0], [0, 1]]


def test_categories_are_multi_hot():
    values = objects(("a", "b"), ("b",), ("a", "a"))
    assert encode("categories", "categories", values, idf=False).tolist() == [[1, 1], [0, 1], [1, 0]]


def test_rare_categories_weigh_more_by_their_inverse_frequency():
    values = objects(("a", "b"), ("b",), ("b",))
    expected = [np.log(4 / 2) + 1, np.log(4 / 4) + 1]
    np.testing.assert_allclose(encode("categories", "categories", values, min_count=1)[0], expected, rtol=1e-6)


def test_standard_numbers_are_those_of_scikit_learn():
    values = np.array([1.0, 4.0, 9.0, -2.0])
    expected = StandardScaler().fit_transform(values[:, None])[:, 0]
    np.testing.assert_allclose(encode("number", "number", values)[:, 0], expected, rtol=1e-6)


def test_quantiles_say_which_share_is_smaller_and_outliers_do_not_stretch_them():
    values = np.array([0.0, 1.0, 2.0, 3.0, 1e9])
    np.testing.assert_allclose(
        encode("number", "number", values, scale="quantile")[:, 0], [-1, -0.5, 0, 0.5, 1], atol=0.01
    )


def test_equal_numbers_share_the_middle_of_their_range():
    values = np.array([0.0, 0.0, 0.0, 5.0])
    assert encode("number", "number", values, scale="quantile")[0, 0] == pytest.approx(-1 / 3, abs=0.01)


def test_a_known_zero_differs_from_a_missing_number():
    assert encode("number", "number", np.array([-1.0, 0.0, 1.0, np.nan]))[1:4:2].tolist() == [[0, 1], [0, 0]]


def test_the_same_weekday_and_season_have_the_same_cycles():
    years = np.array([0.0, 1461 * 86_400.0 * 7])  # seven times four years with a leap day: whole weeks
    rows = encode("time", "time", years)
    np.testing.assert_allclose(rows[0, 2:], rows[1, 2:], atol=5e-3)
    assert rows[:, 0].tolist() == [-1, 1]


PARTS = ("sine", "cosine")
TEXTS = objects("red shoes red", "blue shoes", "red hat blue hat", "hat in the rain", "rain rain")


def test_tfidf_is_that_of_scikit_learn():
    expected = TfidfVectorizer(min_df=2, sublinear_tf=True, ngram_range=(1, 2)).fit_transform(list(TEXTS)).toarray()
    np.testing.assert_allclose(encode("tfidf", "text", TEXTS, ngrams=2), expected, atol=1e-6)


def test_components_are_those_of_a_truncated_svd():
    weights = TfidfVectorizer(min_df=1, sublinear_tf=True).fit_transform(list(TEXTS))
    got = encode("tfidf", "text", TEXTS, min_df=1, components=32)
    expected = TruncatedSVD(4, random_state=0).fit_transform(weights)
    np.testing.assert_allclose(np.abs(got), np.abs(expected), atol=1e-5)


def test_an_unknown_text_is_nothing():
    assert not encode("tfidf", "text", TEXTS, objects("quite other words", "")).any()


def test_vectors_pass_as_they_are():
    values = np.array([[1, 2], [3, 4]], np.float32)
    assert encode("vector", "vector", values).tolist() == values.tolist()


@pytest.mark.parametrize(
    ("name", "role", "values", "params", "labels"),
    [
        ("category", "category", objects("b", "a", "b", "a", "rare"), {}, ["a", "b"]),
        ("categories", "categories", objects(("x", "y"), ("y", "x")), {}, ["x", "y"]),
        ("number", "number", np.array([1.0, 2.0]), {}, ["value", "known"]),
        ("time", "time", np.array([1.0, 2.0]), {"cycles": False}, ["trend", "known"]),
        (
            "time",
            "time",
            np.array([1.0]),
            {},
            ["trend", "known", *(f"{c}, {p}" for c in ("year", "week") for p in PARTS)],
        ),
        ("tfidf", "text", TEXTS, {}, ["blue", "hat", "rain", "red", "shoes"]),
        ("tfidf", "text", objects("red hat", "red hat", "sun"), {"components": 32, "min_df": 1}, ["hat, red, sun"] * 2),
    ],
)
def test_every_feature_has_a_label(name, role, values, params, labels):
    spec = import_module(f"recsmith_plugins.encoders.{name}").provide_encoders()[0]
    context = BuildContext(0, 0, np.zeros(0, np.int64), 0, "cpu", lambda _kind, _choice: None)
    encoder = spec.build(spec.config(**params), context)
    encoder.fit(Column("c", role, values))
    assert encoder.features(Column("c", role, values)).shape[1] == len(labels)
    told = (
        [", ".join(sorted(label.split(", "))) for label in encoder.labels()]
        if params.get("components")
        else encoder.labels()
    )
    assert told == labels
