"""Text as weighted words, or as their strongest directions."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from scipy import sparse
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer

from recsmith.contracts.config import Config
from recsmith.contracts.data import Column, FeatureMatrix, FloatArray, Role, State
from recsmith.contracts.domains import Categorical, Int
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import BuildContext, EncoderSpec

if TYPE_CHECKING:
    from collections.abc import Sequence

NAMED = 7  # words that name a direction


class TfidfConfig(Config):
    """Settings. With `components` 0 the words themselves are the features."""

    min_df: Annotated[int, Int(1, 20, log=True)] = 2  # texts that a word must occur in
    ngrams: Annotated[int, Int(1, 2)] = 1  # longest run of words that is a feature
    sublinear: Annotated[bool, Categorical((False, True))] = True  # 1 + ln(count) for the count of a word
    max_features: Annotated[int, Int(1_000, 50_000, log=True)] = 20_000  # the most frequent words
    components: Annotated[int, Categorical((0, 32, 64, 128, 256))] = 0  # directions of a truncated SVD


def _texts(column: Column) -> list[str]:
    return ["" if value is None else value for value in column.values]


@dataclass
class Tfidf:
    """Unit rows of TF-IDF weights, [R, words], or their projection on the SVD's directions, [R, components].

    A text that is missing, or has no known word, is a row of zeros. Works as scikit-learn's TfidfVectorizer.
    """

    config: TfidfConfig
    seed: int
    words: Sequence[str] = field(default_factory=list)
    idf: FloatArray = field(default_factory=lambda: np.zeros(0, np.float32))  # [words]
    directions: FloatArray | None = None  # [components, words]

    def _vectorizer(self, **settings: Any) -> TfidfVectorizer:
        ngrams, sublinear = (1, self.config.ngrams), self.config.sublinear
        return TfidfVectorizer(ngram_range=ngrams, sublinear_tf=sublinear, dtype=np.float32, **settings)

    def fit(self, column: Column) -> None:
        """Learn words, weights and directions."""
        texts = [text for text in _texts(column) if text.strip()]
        min_df, max_features = min(self.config.min_df, len(texts)), self.config.max_features
        vectorizer = self._vectorizer(min_df=max(min_df, 1), max_features=max_features)
        try:
            vectorizer.fit(texts)
        except ValueError:  # scikit-learn's way to say that no word is left
            self.words, self.idf = [], np.zeros(0, np.float32)
        else:
            self.words, self.idf = vectorizer.get_feature_names_out().tolist(), vectorizer.idf_
        self.directions = self._directions(self._weights(texts))

    def _directions(self, weights: sparse.csr_array) -> FloatArray | None:
        components = min(self.config.components, min(weights.shape) - 1)
        if components < 1:
            return None
        svd = TruncatedSVD(components, random_state=self.seed).fit(weights)
        directions: FloatArray = svd.components_.astype(np.float32)
        return directions

    def _weights(self, texts: list[str]) -> sparse.csr_array:
        """Unit rows of TF-IDF weights, [R, words]."""
        if not self.words or not texts:  # scikit-learn takes neither
            return sparse.csr_array(np.zeros((len(texts), len(self.words)), np.float32))
        vectorizer = self._vectorizer(vocabulary=self.words)
        vectorizer.idf_ = self.idf
        return sparse.csr_array(vectorizer.transform(texts))

    def features(self, column: Column) -> FeatureMatrix:
        """Weights or components."""
        weights = self._weights(_texts(column))
        return weights if self.directions is None else weights @ self.directions.T

    def labels(self) -> list[str]:
        """The words, or of each direction those that it weighs most, whatever their sign."""
        if self.directions is None:
            return list(self.words)
        strongest = np.argsort(-np.abs(self.directions), axis=1, kind="stable")[:, :NAMED]
        return [", ".join(self.words[word] for word in row) for row in strongest]

    def state(self) -> State:
        """Words, their weights, and the directions."""
        directions = {} if self.directions is None else {"directions": self.directions}
        return State({"words": list(self.words)}, {"idf": self.idf, **directions})

    def load(self, state: State) -> None:
        """Take words, weights and directions."""
        self.words, self.idf = state.values["words"], state.arrays["idf"]
        self.directions = state.arrays.get("directions")


def build(config: TfidfConfig, context: BuildContext) -> Tfidf:
    """An unfitted encoder."""
    return Tfidf(config, context.seed)


@hookimpl
def provide_encoders() -> list[EncoderSpec]:
    """TF-IDF text."""
    roles: frozenset[Role] = frozenset({"text"})
    return [
        EncoderSpec(
            name="tfidf",
            api_version=1,
            source=(
                "Salton and Buckley 1988, doi:10.1016/0306-4573(88)90021-0; Deerwester, Dumais, Furnas, Landauer and "
                "Harshman 1990, Indexing by Latent Semantic Analysis (components)"
            ),
            config=TfidfConfig,
            build=build,
            roles=roles,
            default_for=roles,
        )
    ]
