"""Texts as means of word vectors learnt from them: gensim's vectors, Arora's weights, and the same in every process."""

import os
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
from sklearn.decomposition import TruncatedSVD

from recsmith.contracts.data import Column, State
from recsmith.contracts.errors import PluginError
from recsmith.contracts.plugins import BuildContext
from recsmith_plugins.encoders.word_vectors import BUCKETS, WordVectorsConfig, build

gensim = pytest.importorskip("gensim", reason="needs the extra text")

METHODS = pytest.mark.parametrize("method", ["word2vec", "fasttext"])
SEA = ["ship", "wave", "harbour", "sailor", "anchor", "storm"]
FARM = ["cow", "barn", "field", "farmer", "plough", "hay"]


def texts(*values):
    array = np.empty(len(values), object)
    array[:] = values
    return Column("plot", "text", array)


def tales(each=150, seed=0):
    """`each` texts of six words out of each of two vocabularies, all with the word "tale" twice."""
    draw = np.random.default_rng(seed)
    return [" ".join(["Tale:", *draw.choice(words, 6), "tale"]) for words in (SEA, FARM) for _ in range(each)]


def built(seed=0, **settings):
    context = BuildContext(0, 0, np.zeros(0, np.int64), seed, "cpu", lambda _kind, _choice: None)
    return build(WordVectorsConfig(**{"dim": 16, "epochs": 5, "min_count": 1, **settings}), context)


def fitted(column, seed=0, **settings):
    encoder = built(seed, **settings)
    encoder.fit(column)
    return encoder


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@METHODS
@pytest.mark.parametrize("weighting", ["mean", "sif"])
def test_texts_of_one_vocabulary_are_nearest_to_each_other(method, weighting):
    rows = unit(fitted(texts(*tales()), method=method, weighting=weighting, epochs=20).features(texts(*tales(seed=1))))
    cosines = rows @ rows.T
    np.fill_diagonal(cosines, -1)
    nearest = cosines.argmax(axis=1)
    group = np.arange(300) // 150
    assert (group[nearest] == group).mean() > 0.95


@METHODS
def test_a_mean_is_that_of_the_vectors_that_gensim_learns(method):
    """Of words that were not there in fit too, by their parts, where the method knows parts."""
    values = tales(each=20)
    words = [text.lower().replace(":", "").split() for text in values]
    settings = {"vector_size": 16, "epochs": 5, "min_count": 1, "window": 8, "sg": 1, "seed": 3, "workers": 1}
    if method == "fasttext":
        expected = gensim.models.FastText(words, **settings, bucket=BUCKETS).wv
    else:
        expected = gensim.models.Word2Vec(words, **settings).wv
    encoder = fitted(texts(*values), seed=3, method=method, weighting="mean")
    asked = texts("Ship, sailor & ship!", "a barn", "sailors harbour", "shipwreck", "7")
    strange = ["sailors", "shipwreck"] if method == "fasttext" else []
    known = [["ship", "sailor", "ship"], ["barn"], ["sailors", "harbour"], ["shipwreck"], []]
    means = [[expected[word] for word in text if word in SEA + FARM + strange] for text in known]
    means = [np.mean(vectors, axis=0) if vectors else np.zeros(16) for vectors in means]
    np.testing.assert_allclose(encoder.features(asked), means, atol=1e-6)
    assert encoder.features(asked)[3].any() == (method == "fasttext")


def test_sif_weighs_words_and_takes_out_the_first_direction_as_arora_does():
    values = tales(each=30)
    plain, sif = (fitted(texts(*values), weighting=weighting) for weighting in ("mean", "sif"))
    words = [text.lower().replace(":", "").split() for text in values]
    counts = Counter(word for text in words for word in text)
    vectors = dict(zip(plain.words, plain.vectors, strict=True))
    weight = {word: 1e-3 / (1e-3 + count / counts.total()) for word, count in counts.items()}
    means = np.array([sum(weight[word] * vectors[word] for word in text) / len(text) for text in words])
    direction = TruncatedSVD(1, algorithm="arpack").fit(means).components_
    np.testing.assert_allclose(sif.features(texts(*values)), means - means @ direction.T @ direction, atol=1e-6)


@METHODS
def test_missing_texts_and_those_without_a_word_are_zeros(method):
    rows = fitted(texts(*tales(each=10), None), method=method).features(texts(None, "", " ", "?!", "x 1", "ship"))
    assert rows.dtype == np.float32
    assert rows.any(axis=1).tolist() == [False] * 5 + [True]


@METHODS
def test_an_encoder_that_loads_the_state_gives_bit_equal_features(method):
    encoder = fitted(texts(*tales(each=10)), method=method)
    loaded = built(seed=9, method=method)
    state = encoder.state()
    loaded.load(State(state.values, {name: np.array(array, order="C") for name, array in state.arrays.items()}))
    asked = texts("ship and cow", "sailors", None)
    assert loaded.features(asked).tobytes() == encoder.features(asked).tobytes()


@METHODS
def test_the_seed_decides_and_no_generator_of_others_is_touched(method):
    column = texts(*tales(each=10))
    np.random.seed(5)  # noqa: NPY002 - the global one
    before = np.random.get_state()[1].tolist()  # noqa: NPY002
    first, again, other = (fitted(column, seed, method=method).features(column) for seed in (1, 1, 2))
    assert first.tobytes() == again.tobytes()
    assert not np.allclose(first, other)
    assert before == np.random.get_state()[1].tolist()  # noqa: NPY002


def test_features_are_the_same_in_every_process():
    """Python's hash of a text is not: gensim would seed by it what it can."""
    code = (
        "import hashlib, numpy as np\n"
        "from recsmith.contracts.data import Column\n"
        "from recsmith_plugins.encoders.word_vectors import *\n"
        "column = Column('plot', 'text', np.array(['red hat', 'blue shoe hat', 'red shoe rain'] * 9, object))\n"
        "encoder = WordVectors(WordVectorsConfig(method='fasttext', dim=16), 0)\n"
        "encoder.fit(column)\n"
        "print(hashlib.sha256(encoder.features(column).tobytes()).hexdigest())\n"
    )
    digests = [
        subprocess.run(
            [sys.executable, "-W", "error", "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert digests[0] == digests[1] != ""


def test_rare_words_have_no_vector_but_one_word_is_always_kept():
    column = texts("ship ship ship wave", "ship cow wave")
    assert fitted(column, min_count=3).words == ["ship"]
    assert fitted(column, min_count=10).words == ["ship"]


@METHODS
@pytest.mark.parametrize("values", [[], [None, ""], ["? !"]])
def test_a_column_without_words_gives_zeros_of_the_usual_width(method, values):
    encoder = fitted(texts(*values), method=method)
    np.testing.assert_array_equal(encoder.features(texts("ship", None)), np.zeros((2, 16)))


def test_of_one_text_only_nothing_is_taken_out():
    encoder = fitted(texts(*["red hat"] * 9, "?"))
    assert np.linalg.norm(encoder.features(texts("red hat"))) > 1e-4


def test_a_missing_package_is_named_with_the_extra_that_brings_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "gensim", None)
    with pytest.raises(PluginError, match=r"needs the package gensim: pip install 'recsmith\[text\]'"):
        fitted(texts("red hat"))
