"""The mood of a text, by a lexicon and rules."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from recsmith.contracts.data import Column, FloatArray, Role, State
from recsmith.contracts.errors import PluginError
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import EncoderSpec

if TYPE_CHECKING:
    from recsmith.contracts.config import Config
    from recsmith.contracts.plugins import BuildContext

SCORES = {"negative": "neg", "neutral": "neu", "positive": "pos", "compound": "compound"}  # ours -> VADER's


@dataclass
class Sentiment:
    """Shares of negative, neutral and positive words, 0 to 1, and their balance, -1 to 1: [R, 4]. English only.

    A text without a word that has a mood is wholly neutral; one that is missing or blank is a row of zeros.
    """

    @cached_property
    def _analyzer(self) -> Any:
        if find_spec("vaderSentiment") is None:
            raise PluginError("sentiment: needs the package vaderSentiment: pip install 'recsmith[text]'")
        from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

        return SentimentIntensityAnalyzer()

    def fit(self, column: Column) -> None:
        """Nothing to learn."""

    def features(self, column: Column) -> FloatArray:
        """The scores; each distinct text is read once.

        Raises:
            PluginError: vaderSentiment is not installed.
        """
        scores = np.zeros((len(column.values), len(SCORES)), np.float32)
        rows: dict[str, list[int]] = {}
        for row, text in enumerate(column.values):
            if text is not None and text.strip():
                rows.setdefault(text, []).append(row)
        for text, places in rows.items():
            found = self._analyzer.polarity_scores(text)
            scores[places] = [found[name] for name in SCORES.values()]
        return scores

    def labels(self) -> list[str]:
        """The names of the scores."""
        return list(SCORES)

    def state(self) -> State:
        """Nothing to keep."""
        return State()

    def load(self, state: State) -> None:
        """Nothing to take."""


def build(config: Config, context: BuildContext) -> Sentiment:
    """An encoder."""
    return Sentiment()


@hookimpl
def provide_encoders() -> list[EncoderSpec]:
    """Moods of texts."""
    roles: frozenset[Role] = frozenset({"text"})
    return [
        EncoderSpec(
            name="sentiment",
            api_version=1,
            source=(
                "Hutto and Gilbert 2014, VADER: A Parsimonious Rule-based Model for Sentiment Analysis of Social Media "
                "Text, doi:10.1609/icwsm.v8i1.14550"
            ),
            build=build,
            roles=roles,
            fitted=False,
        )
    ]
