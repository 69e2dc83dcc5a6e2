"""Text read by a small convolutional network that learns with the recommender."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

import numpy as np
import torch
from torch import Tensor, nn

from recsmith.contracts.config import Config
from recsmith.contracts.data import Column, FeatureMatrix, Role, State
from recsmith.contracts.domains import Float, Int
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import GRADIENTS, BuildContext, EncoderSpec

if TYPE_CHECKING:
    from collections.abc import Sequence

WORD = re.compile(r"\w+")
UNKNOWN = 1  # the number of every word that is not listed; 0 pads


class TextCNNConfig(Config):
    """Settings. A text longer than `length` is cut; filters look at one, two and three words at a time."""

    words: Annotated[int, Int(1_000, 50_000, log=True)] = 10_000  # the most frequent ones are known
    min_count: Annotated[int, Int(1, 10, log=True)] = 2  # texts that a word must occur in
    length: int = 64  # words that are read
    word_dim: Annotated[int, Int(16, 128, log=True)] = 64
    filters: Annotated[int, Int(16, 128, log=True)] = 64  # of each of the three widths
    dropout: Annotated[float, Float(0.0, 0.6)] = 0.3


@dataclass
class TextCNN:
    """Features are word numbers, [R, length], padded with 0; a missing text, or one without a word, is a row of 0."""

    config: TextCNNConfig
    words: Sequence[str] = field(default_factory=list)

    def fit(self, column: Column) -> None:
        """Learn which words are known: by the number of texts that they occur in, then by the alphabet."""
        counts = Counter(word for text in column.values for word in set(_words(text)))
        frequent = [word for word, count in counts.items() if count >= self.config.min_count]
        self.words = sorted(frequent, key=lambda word: (-counts[word], word))[: self.config.words]

    def features(self, column: Column) -> FeatureMatrix:
        """The numbers of the first words."""
        number = {word: place + UNKNOWN + 1 for place, word in enumerate(self.words)}
        features = np.zeros((len(column.values), self.config.length), np.float32)
        for row, text in enumerate(column.values):
            read = [number.get(word, UNKNOWN) for word in _words(text)[: self.config.length]]
            features[row, : len(read)] = read
        return features

    def module(self, width: int) -> nn.Module:
        """A fresh network: word numbers [n, length] -> vectors [n, width] (`TrainedEncoder`)."""
        return Network(self.config, len(self.words) + UNKNOWN + 1, width)

    def state(self) -> State:
        """The known words."""
        return State({"words": list(self.words)})

    def load(self, state: State) -> None:
        """Take the known words."""
        self.words = state.values["words"]


def _words(text: str | None) -> list[str]:
    return [] if text is None else WORD.findall(text.lower())


class Network(nn.Module):
    """Word vectors, filters over runs of one to three words, the largest answer of each (Kim 2014)."""

    def __init__(self, config: TextCNNConfig, words: int, width: int) -> None:
        super().__init__()
        self.vectors = nn.Embedding(words, config.word_dim, padding_idx=0)
        nn.init.normal_(self.vectors.weight, std=0.1)
        with torch.no_grad():
            self.vectors.weight[0] = 0.0
        self.filters = nn.ModuleList(
            [nn.Conv1d(config.word_dim, config.filters, run, padding=run // 2) for run in (1, 2, 3)]
        )
        self.dropout = nn.Dropout(config.dropout)
        self.out = nn.Linear(3 * config.filters, width)

    def forward(self, rows: Tensor) -> Tensor:
        """Word numbers [n, length] -> [n, width]; what follows the last word has no say."""
        numbers = rows.long()
        there = (numbers > 0).unsqueeze(1)
        words = self.dropout(self.vectors(numbers)).transpose(1, 2)
        answers = [
            torch.relu(each(words)[..., : rows.shape[1]]).masked_fill(~there, 0.0).amax(dim=2) for each in self.filters
        ]
        vectors: Tensor = self.out(self.dropout(torch.cat(answers, dim=1)))
        return vectors


def build(config: TextCNNConfig, context: BuildContext) -> TextCNN:
    """An unfitted encoder."""
    return TextCNN(config)


@hookimpl
def provide_encoders() -> list[EncoderSpec]:
    """The convolutional network over words."""
    roles: frozenset[Role] = frozenset({"text"})
    return [
        EncoderSpec(
            name="text_cnn",
            api_version=1,
            source="Kim 2014, Convolutional Neural Networks for Sentence Classification, "
            "https://arxiv.org/abs/1408.5882; with a recommender: Zheng, Noroozi and Yu 2017, "
            "https://arxiv.org/abs/1701.04783",
            config=TextCNNConfig,
            needs=frozenset({GRADIENTS}),
            build=build,
            roles=roles,
            cost="minutes",
        )
    ]
