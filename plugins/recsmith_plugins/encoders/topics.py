"""Text as shares of topics, which are groups of words that occur together."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

import numpy as np
from scipy import sparse
from scipy.special import psi
from sklearn.decomposition import LatentDirichletAllocation, non_negative_factorization
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer

from recsmith.contracts.config import Config
from recsmith.contracts.data import Column, FeatureMatrix, FloatArray, Role, State
from recsmith.contracts.domains import Categorical, Float, Int
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import BuildContext, EncoderSpec

if TYPE_CHECKING:
    from collections.abc import Sequence

SWEEPS = 50  # over texts and topics, to find the topics of NMF: more hardly lower its error
SHARE_SWEEPS = 20  # to find the shares of a text, topics given: they stand to 1e-6 after five
NAMED = 7  # words that name a topic
PASSES, UPDATES = 10, 16  # LDA reads all texts ten times, and updates its topics 16 times in each


class TopicsConfig(Config):
    """Settings. There are never more topics than texts or words."""

    method: Annotated[str, Categorical(("nmf", "lda"))] = "nmf"  # factors of TF-IDF weights, or a model of counts
    topics: Annotated[int, Int(5, 200, log=True)] = 50  # columns of the features
    min_df: Annotated[int, Int(1, 20, log=True)] = 2  # texts that a word must occur in
    max_df: Annotated[float, Float(0.2, 1.0)] = 0.5  # share of the texts; a word that occurs in more says nothing
    max_features: Annotated[int, Int(1_000, 50_000, log=True)] = 20_000  # the most frequent words


def _nothing() -> FloatArray:
    return np.zeros((0, 0), np.float32)


def _texts(column: Column) -> list[str]:
    return ["" if value is None else value for value in column.values]


@dataclass
class Topics:
    """Shares of topics, [R, topics]; each row sums to 1.

    A text that is missing, or has no word that a topic knows, is a row of zeros. NMF reads unit rows of TF-IDF weights
    with 1 + ln(count) for a count, and divides a text's factors by their sum; LDA reads counts. Every text is encoded
    for itself, with as many steps as any other: its shares do not depend on what it is encoded with.
    """

    config: TopicsConfig
    seed: int
    words: Sequence[str] = field(default_factory=list)
    idf: FloatArray = field(default_factory=lambda: np.zeros(0, np.float32))  # [words]; of "nmf" only
    topics: FloatArray = field(default_factory=_nothing)  # [topics, words] factors, or LDA's Dirichlet parameters

    def fit(self, column: Column) -> None:
        """Learn words and topics."""
        texts = [text for text in _texts(column) if text.strip()]
        self._fit_words(texts)
        weights = self._weights(texts)
        weights = weights[np.diff(weights.indptr) > 0]
        topics = min(self.config.topics, *weights.shape)
        if not topics:
            self.topics = np.zeros((0, len(self.words)), np.float32)
        elif self.config.method == "nmf":
            # No tolerance: the sweeps are counted, and scikit-learn does not warn that they were too few.
            _, factors, _ = non_negative_factorization(
                weights, n_components=topics, init="nndsvda", tol=0, max_iter=SWEEPS, random_state=self.seed
            )
            self.topics = np.ascontiguousarray(factors, np.float32)
        else:
            self.topics = np.ascontiguousarray(self._fit_lda(weights, topics).components_, np.float32)

    def _fit_words(self, texts: list[str]) -> None:
        kind = TfidfVectorizer if self.config.method == "nmf" else CountVectorizer
        min_df = max(min(self.config.min_df, len(texts)), 1)
        max_df = max(int(self.config.max_df * len(texts)), min_df)
        vectorizer = kind(min_df=min_df, max_df=max_df, max_features=self.config.max_features)
        try:
            vectorizer.fit(texts)
        except ValueError:  # scikit-learn's way to say that no word is left
            self.words, self.idf = [], np.zeros(0, np.float32)
        else:
            self.words = vectorizer.get_feature_names_out().tolist()
            self.idf = np.asarray(getattr(vectorizer, "idf_", ()), np.float32)

    def _fit_lda(self, counts: sparse.csr_array, topics: int) -> LatentDirichletAllocation:
        batch = -(-counts.shape[0] // UPDATES)
        lda = LatentDirichletAllocation(
            topics, learning_method="online", batch_size=batch, max_iter=PASSES, random_state=self.seed
        )
        return lda.fit(counts)

    def _weights(self, texts: list[str]) -> sparse.csr_array:
        """TF-IDF weights or counts, [R, words]."""
        if not self.words or not texts:  # scikit-learn takes neither
            return sparse.csr_array(np.zeros((len(texts), len(self.words)), np.float32))
        if self.config.method == "lda":
            return sparse.csr_array(CountVectorizer(vocabulary=self.words, dtype=np.float32).transform(texts))
        vectorizer = TfidfVectorizer(vocabulary=self.words, sublinear_tf=True, dtype=np.float32)
        vectorizer.idf_ = self.idf
        return sparse.csr_array(vectorizer.transform(texts))

    def features(self, column: Column) -> FeatureMatrix:
        """The shares."""
        weights = self._weights(_texts(column))
        shares = np.zeros((len(column.values), len(self.topics)), np.float32)
        known = np.diff(weights.indptr) > 0
        if known.any() and shares.shape[1]:
            find = self._factors if self.config.method == "nmf" else self._posterior
            found = find(weights[known])
            total = found.sum(axis=1, keepdims=True)
            shares[known] = np.divide(found, total, out=np.zeros_like(found), where=total > 0)
        return shares

    def _factors(self, weights: sparse.csr_array) -> FloatArray:
        """How much of each topic explains the weights best, [R, topics]."""
        factors, _, _ = non_negative_factorization(
            weights, H=self.topics, n_components=len(self.topics), update_H=False, tol=0, max_iter=SHARE_SWEEPS
        )
        return np.asarray(factors, np.float32)

    def _posterior(self, counts: sparse.csr_array) -> FloatArray:
        """The parameters of each text's Dirichlet distribution of topics, [R, topics]."""
        lda = LatentDirichletAllocation(len(self.topics))
        lda.components_, lda.doc_topic_prior_ = self.topics, 1.0 / len(self.topics)
        # exp(E[log p(word | topic)]), all that a fitted one uses of its topics
        expected = psi(self.topics) - psi(self.topics.sum(axis=1, keepdims=True))
        lda.exp_dirichlet_component_ = np.exp(expected)
        return np.asarray(lda.transform(counts), np.float32)

    def labels(self) -> list[str]:
        """The words that each topic weighs most; never one that it does not weigh at all."""
        strongest = np.argsort(-self.topics, axis=1, kind="stable")[:, :NAMED]
        return [
            ", ".join(self.words[word] for word in row if weights[word] > 0)
            for row, weights in zip(strongest, self.topics, strict=True)
        ]

    def state(self) -> State:
        """Words, their weights, and the topics."""
        return State({"words": list(self.words)}, {"idf": self.idf, "topics": self.topics})

    def load(self, state: State) -> None:
        """Take words, weights and topics."""
        self.words, self.idf, self.topics = state.values["words"], state.arrays["idf"], state.arrays["topics"]


def build(config: TopicsConfig, context: BuildContext) -> Topics:
    """An unfitted encoder."""
    return Topics(config, context.seed)


@hookimpl
def provide_encoders() -> list[EncoderSpec]:
    """Topics of texts."""
    roles: frozenset[Role] = frozenset({"text"})
    return [
        EncoderSpec(
            name="topics",
            api_version=1,
            source=(
                "Lee and Seung 1999, doi:10.1038/44565 (nmf); Blei, Ng and Jordan 2003, Latent Dirichlet Allocation; "
                "Hoffman, Blei and Bach 2010, Online Learning for Latent Dirichlet Allocation (lda)"
            ),
            config=TopicsConfig,
            build=build,
            roles=roles,
        )
    ]
