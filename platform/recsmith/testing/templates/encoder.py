"""Text as hashed character n-grams: no vocabulary to keep, and misspelt or inflected words stay near each other."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

import numpy as np
from scipy import sparse
from sklearn.feature_extraction.text import HashingVectorizer

from recsmith.contracts.config import Config
from recsmith.contracts.data import Column, FeatureMatrix, FloatArray, State
from recsmith.contracts.domains import Int
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import BuildContext, EncoderSpec

SHORTEST = 3  # characters of an n-gram


class MyNameConfig(Config):
    """Settings."""

    longest: Annotated[int, Int(SHORTEST, 6)] = 4  # characters of an n-gram
    bits: Annotated[int, Int(8, 16)] = 12  # the features are 2 ** bits wide


@dataclass
class MyName:
    """Unit rows [R, F] of n-gram counts, each weighted by the rarity of its place; a text without any is zeros."""

    config: MyNameConfig
    rarity: FloatArray = field(default_factory=lambda: np.zeros(0, np.float32))  # [F], inverse document frequency

    def _counts(self, column: Column) -> sparse.csr_array:
        """N-grams per place, [R, F]; the hash (MurmurHash3) is the same in every process and on every machine."""
        texts = ["" if text is None else text for text in column.values]
        width = 2**self.config.bits
        if not texts:  # which the vectoriser refuses
            return sparse.csr_array(np.zeros((0, width), np.float32))
        vectorizer = HashingVectorizer(
            analyzer="char_wb",
            ngram_range=(SHORTEST, self.config.longest),
            n_features=width,
            alternate_sign=False,
            norm=None,
            dtype=np.float32,
        )
        return sparse.csr_array(vectorizer.transform(texts))

    def fit(self, column: Column) -> None:
        """Learn how rare each place is among the texts that training may see."""
        counts = self._counts(column)
        texts = np.bincount(counts.indices, minlength=counts.shape[1])  # that hold an n-gram of this place
        self.rarity = (1 + np.log((1 + counts.shape[0]) / (1 + texts))).astype(np.float32)

    def features(self, column: Column) -> FeatureMatrix:
        """Sparse unit rows, [R, F] float32."""
        weights = self._counts(column)
        weights.data *= self.rarity[weights.indices]
        rows = np.repeat(np.arange(weights.shape[0]), np.diff(weights.indptr))  # of every weight
        weights.data /= np.sqrt(np.bincount(rows, weights.data**2))[rows]
        return weights

    def state(self) -> State:
        """The rarities."""
        return State(arrays={"rarity": self.rarity})

    def load(self, state: State) -> None:
        """Take the rarities."""
        self.rarity = state.arrays["rarity"]


def build(config: MyNameConfig, context: BuildContext) -> MyName:
    """An unfitted encoder."""
    return MyName(config)


@hookimpl
def provide_encoders() -> list[EncoderSpec]:
    """Offer the encoder."""
    return [
        EncoderSpec(
            name="my_name",
            api_version=1,
            config=MyNameConfig,
            source="Weinberger et al. 2009, Feature Hashing for Large Scale Multitask Learning",
            build=build,
            roles=frozenset({"text"}),
        )
    ]
