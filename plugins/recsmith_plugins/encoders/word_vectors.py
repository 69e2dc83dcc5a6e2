"""Text as a weighted mean of word vectors that are learnt from the column itself."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from importlib.util import find_spec
from itertools import chain
from typing import TYPE_CHECKING, Annotated, Any
from zlib import crc32

import numpy as np
from scipy import sparse

from recsmith.contracts.config import Config
from recsmith.contracts.data import Column, DoubleArray, FloatArray, LongArray, Role, State
from recsmith.contracts.domains import Categorical, Int
from recsmith.contracts.errors import PluginError
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import BuildContext, EncoderSpec

if TYPE_CHECKING:
    from collections.abc import Sequence

WORD = re.compile(r"\w\w+")  # two letters or digits and more, as in the other encoders of words
SIF = 1e-3  # `a` of Arora et al.: words of this share of all words weigh half
MOST_WORDS = 50_000  # the most frequent ones: they bound the state
# Parts of words share this many vectors (5 MB at 64 numbers each). On 3,856 film plots 200,000 were hardly better: the
# share of genres that a film has in common with its ten nearest was .437, against .436.
BUCKETS = 20_000
ROUNDING = 1e-5
SHORTEST, LONGEST = 3, 6  # letters of a part of a word, with marks for its beginning and end


class WordVectorsConfig(Config):
    """Settings. With "sif" frequent words weigh less, and the direction that all texts share is taken out."""

    method: Annotated[str, Categorical(("word2vec", "fasttext"))] = "word2vec"  # of words, or of their parts as well
    dim: Annotated[int, Int(16, 256, log=True)] = 64  # D
    window: Annotated[int, Int(2, 15, log=True)] = 8  # words on either side that a word is to foretell
    epochs: Annotated[int, Int(5, 60, log=True)] = 20
    min_count: Annotated[int, Int(1, 10, log=True)] = 2  # times that a word must occur
    weighting: Annotated[str, Categorical(("sif", "mean"))] = "sif"


def _words(text: str | None) -> list[str]:
    return [] if text is None else WORD.findall(text.lower())


def _hash(text: str) -> int:
    """Python's own differs from process to process."""
    return crc32(text.encode())


def _nothing(dim: int = 0) -> FloatArray:
    return np.zeros((0, dim), np.float32)


@dataclass
class WordVectors:
    """Means of the vectors of a text's words, [R, D], by skip-gram with five negatives.

    With "fasttext" a word that was not there in fit, or too seldom, has the mean of its parts' vectors; with "word2vec"
    it is passed over. A text that is missing, or has no word with a vector, is a row of zeros. Of texts with more than
    10,000 words the rest is not learnt from.
    """

    config: WordVectorsConfig
    seed: int
    words: Sequence[str] = field(default_factory=list)
    vectors: FloatArray = field(default_factory=_nothing)  # [words, D]
    weights: FloatArray = field(default_factory=lambda: np.zeros(0, np.float32))  # [words]
    parts: FloatArray = field(default_factory=_nothing)  # [BUCKETS, D], of "fasttext" only
    shared: FloatArray = field(default_factory=lambda: np.zeros(0, np.float32))  # [D], of length 1 or 0

    def fit(self, column: Column) -> None:
        """Learn the vectors, then what the texts share.

        Raises:
            PluginError: gensim is not installed.
        """
        texts = [words for words in map(_words, column.values) if words]
        dim = self.config.dim
        self.words, self.vectors, self.parts = [], _nothing(dim), _nothing(dim)
        self.weights, self.shared = np.zeros(0, np.float32), np.zeros(dim, np.float32)
        if not texts:
            return
        counts = Counter(chain.from_iterable(texts))
        vectors = self._learnt(texts, min(self.config.min_count, max(counts.values())))
        self.words = list(vectors.index_to_key)
        self.vectors = np.array(vectors.vectors, np.float32)
        if self.config.method == "fasttext":
            self.parts = np.array(vectors.vectors_ngrams, np.float32)
        self.weights = np.ones(len(self.words), np.float32)
        if self.config.weighting == "sif":
            share = np.array([counts[word] for word in self.words]) / counts.total()
            self.weights = (SIF / (SIF + share)).astype(np.float32)
            self.shared = _strongest(self._means(texts))

    def _learnt(self, texts: list[list[str]], min_count: int) -> Any:
        """The vectors of gensim. One worker and a hash that stays: a seed then gives the same ones in every process."""
        models = _gensim()
        fasttext = self.config.method == "fasttext"
        parts = {"bucket": BUCKETS, "min_n": SHORTEST, "max_n": LONGEST} if fasttext else {}
        return (models.FastText if fasttext else models.Word2Vec)(
            texts,
            vector_size=self.config.dim,
            window=self.config.window,
            epochs=self.config.epochs,
            min_count=min_count,
            max_final_vocab=MOST_WORDS,
            sg=1,
            seed=self.seed,
            hashfxn=_hash,
            workers=1,
            **parts,
        ).wv

    def features(self, column: Column) -> FloatArray:
        """The means, less what all texts share."""
        means = self._means([_words(text) for text in column.values])
        return means - np.outer(means @ self.shared, self.shared)

    def _means(self, texts: list[list[str]]) -> FloatArray:
        """Each word's vector times its weight, over the number of words that have one, [R, D]."""
        place = {word: number for number, word in enumerate(self.words)}
        vectors, weights = self.vectors, self.weights
        if len(self.parts):
            strange = list(dict.fromkeys(word for word in chain.from_iterable(texts) if word not in place))
            place |= {word: number for number, word in enumerate(strange, len(place))}
            vectors = np.concatenate([vectors, self._of_parts(strange)])
            weights = np.concatenate([weights, np.ones(len(strange), np.float32)])
        known = [[place[word] for word in text if word in place] for text in texts]
        lengths: LongArray = np.array([len(text) for text in known], np.int64)
        indices = np.fromiter(chain.from_iterable(known), np.int32, int(lengths.sum()))
        shares = weights[indices] / np.repeat(lengths, lengths).astype(np.float32)
        indptr = np.concatenate([[0], np.cumsum(lengths)])
        means: FloatArray = sparse.csr_array((shares, indices, indptr), (len(texts), len(vectors))) @ vectors
        return means

    def _of_parts(self, words: list[str]) -> FloatArray:
        """The mean of the vectors of each word's parts, [words, D]."""
        if not words:
            return _nothing(self.parts.shape[1])
        hashes = _gensim().fasttext.ft_ngram_hashes
        return np.stack([self.parts[hashes(word, SHORTEST, LONGEST, len(self.parts))].mean(axis=0) for word in words])

    def state(self) -> State:
        """Words, their vectors and weights, and what texts share."""
        arrays = {"vectors": self.vectors, "weights": self.weights, "parts": self.parts, "shared": self.shared}
        return State({"words": list(self.words)}, arrays)

    def load(self, state: State) -> None:
        """Take them."""
        self.words = state.values["words"]
        self.vectors, self.weights = state.arrays["vectors"], state.arrays["weights"]
        self.parts, self.shared = state.arrays["parts"], state.arrays["shared"]


def _gensim() -> Any:
    if find_spec("gensim") is None:
        raise PluginError("word_vectors: needs the package gensim: pip install 'recsmith[text]'")
    import gensim.models

    return gensim.models


def _strongest(rows: FloatArray) -> FloatArray:
    """The direction that explains most of some rows [R, D], not centred: [D] of length 1.

    Zeros where all rows that say something are the same: taken out, it would leave rounding errors of them.
    """
    rows = rows[rows.any(axis=1)]
    if len(rows) == 0 or np.ptp(rows, axis=0).max() < ROUNDING * np.abs(rows).max():
        return np.zeros(rows.shape[1], np.float32)
    exact: DoubleArray = rows.astype(np.float64)
    return np.linalg.eigh(exact.T @ exact)[1][:, -1].astype(np.float32)


def build(config: WordVectorsConfig, context: BuildContext) -> WordVectors:
    """An unfitted encoder."""
    return WordVectors(config, context.seed)


@hookimpl
def provide_encoders() -> list[EncoderSpec]:
    """Means of word vectors."""
    roles: frozenset[Role] = frozenset({"text"})
    return [
        EncoderSpec(
            name="word_vectors",
            api_version=1,
            source=(
                "Mikolov, Sutskever, Chen, Corrado and Dean 2013, https://arxiv.org/abs/1310.4546 (word2vec); "
                "Bojanowski, Grave, Joulin and Mikolov 2017, https://arxiv.org/abs/1607.04606 (fasttext); Arora, Liang "
                "and Ma 2017, A Simple but Tough-to-Beat Baseline for Sentence Embeddings (sif)"
            ),
            config=WordVectorsConfig,
            build=build,
            roles=roles,
        )
    ]
