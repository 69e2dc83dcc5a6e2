"""What the texts of a column are about, how they are disposed, and how long they are."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

from recsmith.contracts.errors import PluginError
from recsmith.data.description.columns import known_rows
from recsmith.data.description.encoding import note
from recsmith.data.description.facts import Sentiment, TextFacts, Topic, even_bars, spread_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from recsmith.contracts.data import Column, DoubleArray, FloatArray, LongArray
    from recsmith.data.description.encoding import Encodings, Source

MOST_TEXTS = 50_000  # that topics and sentiment are found of
TOPICS, TEXTS_PER_TOPIC = 20, 10  # at most so many topics, and at least so many texts for each
MANY, FREQUENT, FREQUENT_OF_FEW = 500, 0.2, 0.5  # a word that occurs in a larger share of the texts tells no topic
SHOWN = 3  # examples
WORD = re.compile(r"\w+")
CLEAR = 0.05  # compound scores nearer to 0 are neutral (Hutto and Gilbert 2014)
SCORE_BINS = 20


def texts_of(source: Source, encodings: Encodings) -> TextFacts:
    """Topics, sentiment and lengths of the known texts of a column; of very many, a sample's topics and sentiment."""
    known = np.flatnonzero(known_rows(source.column))
    rows = sampled(known, MOST_TEXTS)
    words = np.array([len(WORD.findall(source.column.values[row])) for row in known], np.int64)
    topics, topics_note = _topics(source, encodings)
    sentiment, sentiment_note = _sentiment(source, rows, encodings)
    return TextFacts(
        table=source.table,
        column=source.column.name,
        texts=len(known),
        looked_at=len(rows),
        words=spread_of(words),
        topics=topics,
        topics_note=topics_note,
        sentiment=sentiment,
        sentiment_note=sentiment_note,
    )


def sampled(rows: LongArray, most: int) -> LongArray:
    """At most so many of the rows, in order; the same ones every time."""
    if len(rows) <= most:
        return rows
    return np.sort(np.random.default_rng(0).choice(rows, most, replace=False))


# --- topics -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class TopicsOfRows:
    """The strongest topic of each of n texts."""

    rows: LongArray  # [n]
    strongest: LongArray  # [n], -1 where there is none
    share: FloatArray  # [n] of the strongest one
    labels: Sequence[str]


def topics_of(source: Source, encodings: Encodings) -> TopicsOfRows:
    """Topics of the known texts of a column, or of a sample of very many.

    Raises:
        PluginError: topics cannot be found, in one sentence.
    """
    rows = sampled(np.flatnonzero(known_rows(source.column)), MOST_TEXTS)
    count = min(max(len(rows) // TEXTS_PER_TOPIC, 2), TOPICS)
    frequent = FREQUENT if len(rows) >= MANY else FREQUENT_OF_FEW
    encoded = encodings.of(source, "topics", lambda column: telling(column.take(rows)), topics=count, max_df=frequent)
    shares = encoded.features if isinstance(encoded.features, np.ndarray) else encoded.features.toarray()
    if not shares.shape[1]:
        return TopicsOfRows(rows, np.full(len(rows), -1), np.zeros(len(rows), np.float32), ())
    strongest = np.where(shares.any(axis=1), shares.argmax(axis=1), -1)
    labels = encoded.labels or [f"topic {number + 1}" for number in range(shares.shape[1])]
    return TopicsOfRows(rows, strongest, shares.max(axis=1), labels)


def _topics(source: Source, encodings: Encodings) -> tuple[tuple[Topic, ...], str]:
    try:
        topics = topics_of(source, encodings)
    except PluginError as error:
        return (), note("Topics are not shown", error)
    counts = np.bincount(topics.strongest[topics.strongest >= 0], minlength=len(topics.labels))
    if not counts.any():
        return (), "There are no topics: no two texts share a word that tells one."
    found = []
    for number in np.argsort(-counts, kind="stable")[: np.count_nonzero(counts)]:
        of_topic = np.flatnonzero(topics.strongest == number)
        named = _named(source, topics.rows[of_topic], topics.labels[number])
        best = of_topic[np.lexsort((-topics.share[of_topic], -named))[:SHOWN]]
        rows = topics.rows[best].tolist()
        examples = source.examples(rows, dict(zip(rows, topics.share[best].tolist(), strict=True)))
        count = int(counts[number])
        share = count / len(topics.rows)
        found.append(Topic(label=topics.labels[number], count=count, share=share, examples=examples))
    return tuple(found), ""


def _named(source: Source, rows: LongArray, label: str) -> LongArray:
    """How many words of a topic's label each of the texts has: examples are to show what the label says."""
    wanted = set(WORD.findall(label.lower()))
    return np.array([len(wanted.intersection(WORD.findall(source.column.values[row].lower()))) for row in rows])


def telling(column: Column) -> Column:
    """The texts without words that tell no topic: common English ones, and numbers where most words are none."""
    words = [[] if text is None else WORD.findall(text) for text in column.values]
    numbers = sum(word.isdigit() for text in words for word in text)
    numeric = 2 * numbers > sum(map(len, words))
    values = np.empty(len(words), object)
    values[:] = [
        " ".join(word for word in text if word.lower() not in ENGLISH_STOP_WORDS and (numeric or not word.isdigit()))
        for text in words
    ]
    return replace(column, values=values)


# --- sentiment --------------------------------------------------------------------------------------------------------


def _sentiment(source: Source, rows: LongArray, encodings: Encodings) -> tuple[Sentiment | None, str]:
    if not len(rows):
        return None, "There is no text."
    try:
        encoded = encodings.of(source, "sentiment", lambda column: column.take(rows))
    except PluginError as error:
        return None, note("Sentiment is not shown", error)
    if "compound" not in encoded.labels:
        return None, "Sentiment is not shown: the encoder 'sentiment' has no feature with the label 'compound'."
    place = list(encoded.labels).index("compound")
    features = encoded.features
    score: DoubleArray = (features if isinstance(features, np.ndarray) else features.toarray())[:, place].astype(float)
    edges = np.linspace(-1, 1, SCORE_BINS + 1)
    lowest, highest = np.argsort(score, kind="stable")[:SHOWN], np.argsort(-score, kind="stable")[:SHOWN]
    by_row = dict(zip(rows.tolist(), score.tolist(), strict=True))
    return Sentiment(
        bars=even_bars(
            np.clip(score, -1, 1), edges.tolist(), [f"{edge:.1f}" for edge in np.round(edges[:-1], 1) + 0.0]
        ),
        negative=float((score <= -CLEAR).mean()),
        neutral=float((np.abs(score) < CLEAR).mean()),
        positive=float((score >= CLEAR).mean()),
        mean=round(float(score.mean()), 4),
        most_negative=source.examples(rows[lowest[score[lowest] < 0]], by_row),
        most_positive=source.examples(rows[highest[score[highest] > 0]], by_row),
    ), ""
