"""Texts as shares of topics: known topics are found, shares are the best there are, and a loaded encoder gives them."""

import numpy as np
import pytest
from scipy.optimize import nnls
from sklearn.decomposition import LatentDirichletAllocation
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer

from recsmith.contracts.data import Column, State
from recsmith.contracts.plugins import BuildContext
from recsmith.testing.logs import groups_fold
from recsmith_plugins.encoders.topics import TopicsConfig, build

METHODS = pytest.mark.parametrize("method", ["nmf", "lda"])
SEA = ["ship", "wave", "harbour", "sailor", "anchor", "storm"]
FARM = ["cow", "barn", "field", "farmer", "plough", "hay"]


def texts(*values):
    array = np.empty(len(values), object)
    array[:] = values
    return Column("plot", "text", array)


def tales(vocabularies=(SEA, FARM), each=30, seed=0):
    """`each` texts of four words out of each vocabulary, all with the word "tale"."""
    draw = np.random.default_rng(seed)
    return [" ".join(["tale", *draw.choice(words, 4, replace=False)]) for words in vocabularies for _ in range(each)]


def built(config, seed=0):
    return build(config, BuildContext(0, 0, np.zeros(0, np.int64), seed, "cpu", lambda _kind, _choice: None))


def encoder_of(column, seed=0, **settings):
    encoder = built(TopicsConfig(**settings), seed)
    encoder.fit(column)
    return encoder


def dominant(shares):
    return shares.argmax(axis=1).tolist()


@METHODS
def test_texts_of_two_disjoint_vocabularies_fall_into_two_topics(method):
    encoder = encoder_of(texts(*tales()), method=method, topics=2)
    shares = encoder.features(texts(*tales(seed=1)))
    sea, farm = shares[:30], shares[30:]
    assert {*dominant(sea)} == {dominant(sea)[0]}
    assert {*dominant(farm)} == {1 - dominant(sea)[0]}
    assert shares.max(axis=1).min() > 0.85


def test_the_titles_of_a_group_fall_into_the_topic_of_the_group():
    title = groups_fold().items[1]  # one word each that counts: LDA, which reads what occurs together, learns nothing
    shares = encoder_of(title, topics=4).features(title)
    assert shares.shape == (60, 4)
    topic_of = dominant(shares)[:4]
    assert sorted(topic_of) == [0, 1, 2, 3]
    assert dominant(shares) == topic_of * 15


def test_a_text_of_both_vocabularies_is_shared_by_both_topics():
    shares = encoder_of(texts(*tales()), topics=2).features(texts("ship wave cow barn"))
    np.testing.assert_allclose(shares, [[0.5, 0.5]], atol=0.1)


@METHODS
def test_rows_sum_to_one_and_what_knows_no_word_is_zeros(method):
    encoder = encoder_of(texts(*tales(), None, ""), method=method, topics=5)
    shares = encoder.features(texts("ship", None, "", "quite other words", "cow hay and more", "tale"))
    assert shares.dtype == np.float32
    np.testing.assert_allclose(shares.sum(axis=1), [1, 0, 0, 0, 1, 0], atol=1e-6)
    assert shares.min() == 0


def test_shares_of_nmf_are_the_non_negative_least_squares_of_the_weights():
    column = texts(*tales(each=12))
    encoder = encoder_of(column, topics=5)
    vectorizer = TfidfVectorizer(vocabulary=encoder.words, sublinear_tf=True).fit(column.values.tolist())
    weights = vectorizer.transform(column.values.tolist()).toarray()
    factors = np.stack([nnls(encoder.topics.T.astype(np.float64), row)[0] for row in weights])
    np.testing.assert_allclose(encoder.features(column), factors / factors.sum(axis=1, keepdims=True), atol=1e-4)


def test_shares_of_lda_are_those_of_the_fitted_estimator():
    column = texts(*tales())
    encoder = encoder_of(column, method="lda", topics=5, seed=3)
    counts = CountVectorizer(vocabulary=encoder.words, dtype=np.float32).transform(column.values.tolist())
    fitted = LatentDirichletAllocation(5, learning_method="online", batch_size=4, max_iter=10, random_state=3)
    np.testing.assert_allclose(encoder.features(column), fitted.fit(counts).transform(counts), atol=1e-4)


@METHODS
def test_an_encoder_that_loads_the_state_gives_bit_equal_shares(method):
    column = texts(*tales())
    encoder = encoder_of(column, method=method, topics=7)
    loaded = built(encoder.config, seed=9)
    state = encoder.state()
    # Copies in the order of a file: neither memory layout nor what scikit-learn learnt beside them may matter.
    loaded.load(State(state.values, {name: np.array(array, order="C") for name, array in state.arrays.items()}))
    asked = texts(*tales(seed=1))
    assert loaded.features(asked).tobytes() == encoder.features(asked).tobytes()


@METHODS
def test_the_seed_decides(method):
    column = texts(*tales([SEA, FARM, [*SEA, *FARM]], seed=2))
    first, again, other = (
        encoder_of(column, seed=seed, method=method, topics=9).features(column) for seed in (1, 1, 2)
    )
    assert first.tobytes() == again.tobytes()
    assert method == "nmf" or not np.allclose(first, other)  # NMF starts from an SVD, of which there is but one


@METHODS
def test_a_text_has_the_same_shares_alone_as_among_others(method):
    column = texts(*tales())
    encoder = encoder_of(column, method=method, topics=5)
    alone = [encoder.features(column.take(np.array([row]))) for row in range(60)]
    np.testing.assert_allclose(np.concatenate(alone), encoder.features(column), atol=1e-6)


@METHODS
@pytest.mark.parametrize(
    ("values", "width"),
    [
        (["red hat", "blue hat blue", "red shoe", "blue shoe"], 4),  # four texts, four words
        (["hat rain hat", "shoe", "shoe hat", "x", "y"], 2),  # two words that occur twice
        (["red hat"], 1),
        (["red hat"] * 8, 0),  # words of every text say nothing
        ([None, ""], 0),
        ([], 0),
    ],
)
def test_there_are_never_more_topics_than_texts_or_words(method, values, width):
    column = texts(*values)
    shares = encoder_of(column, method=method, topics=50).features(column)
    assert shares.shape == (len(values), width)
    assert np.isfinite(shares).all()


def test_words_that_most_texts_have_are_left_out():
    column = texts(*tales())
    assert encoder_of(column).words == sorted([*SEA, *FARM])
    assert encoder_of(column, max_df=1.0).words == sorted([*SEA, *FARM, "tale"])


@METHODS
def test_repeated_texts_have_fewer_directions_than_topics(method):
    column = texts(*["red hat"] * 6, *["blue shoe"] * 6)
    shares = encoder_of(column, method=method, topics=50).features(column)
    assert np.isfinite(shares).all()
    np.testing.assert_allclose(shares[:6], np.tile(shares[:1], (6, 1)))
    assert shares[0].argmax() != shares[6].argmax()


@METHODS
def test_labels_are_the_words_of_each_topic(method):
    encoder = encoder_of(texts(*tales()), method=method, topics=2)
    sea = dominant(encoder.features(texts("ship wave storm")))[0]
    labels = [label.split(", ") for label in encoder.labels()]
    assert [set(labels[sea][:6]), set(labels[1 - sea][:6])] == [set(SEA), set(FARM)]
