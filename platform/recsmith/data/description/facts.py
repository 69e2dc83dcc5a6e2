"""The facts of a description, as plain data: what `--json` prints and the page shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from recsmith.contracts.results import Result

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

Table = Literal["interactions", "items", "users"]
Fault = Literal["missing", "empty", "broken", "mislabelled"]


class Bar(Result):
    """One bar of a histogram."""

    label: str
    count: int


class Spread(Result):
    """How whole numbers are spread: histogram with bins that double, and the usual figures."""

    bars: tuple[Bar, ...]
    least: int
    median: float
    mean: float
    most: int
    gini: float  # 0 where all are equal, near 1 where one has everything


class Example(Result):
    """One row of a table."""

    row: str  # its id; of an interaction "user u1, item i2"
    name: str = ""  # the title of an item, where there is one
    text: str = ""  # shortened
    score: float | None = None


class InteractionFacts(Result):
    """Who took how much."""

    users: int  # with at least one interaction
    items: int
    untaken: int  # items of the table that nobody took
    interactions: int
    density: float  # distinct user-item pairs over users x items
    first: str | None  # ISO moment in UTC; None without timestamps
    last: str | None
    histories: Spread  # interactions per user
    popularity: Spread  # interactions per item, of those that anybody took
    over_time: tuple[Bar, ...]  # equal stretches of time


class ColumnFacts(Result):
    """One column and its role. `missing` and `distinct` are None of a column that is not used."""

    table: Table
    name: str
    role: str
    missing: float | None  # share of rows without a value
    distinct: int | None  # values; of categories: entries
    example: str  # the first value; of numbers and moments least and most


class MediaFault(Result):
    """One file that is not what it should be."""

    row: str
    name: str
    file: str
    kind: Fault
    reason: str


class MediaFacts(Result):
    """The files of one column."""

    table: Table
    column: str
    role: str
    files: int  # rows that name one
    formats: tuple[Bar, ...]  # by their first bytes
    median_bytes: float
    counts: dict[Fault, int]
    faults: tuple[MediaFault, ...]  # every one
    note: str = ""  # what could not be found out, and why


class Topic(Result):
    """Words that occur together, and the texts that are mostly about them."""

    label: str
    count: int  # texts of which it is the strongest topic
    share: float  # of all texts that were looked at
    examples: tuple[Example, ...]


class Sentiment(Result):
    """How texts are disposed, by their compound score from -1 to 1."""

    bars: tuple[Bar, ...]
    negative: float  # share of texts below -0.05
    neutral: float
    positive: float  # share above 0.05
    mean: float
    most_negative: tuple[Example, ...]
    most_positive: tuple[Example, ...]


class TextFacts(Result):
    """The texts of one column."""

    table: Table
    column: str
    texts: int  # known ones
    looked_at: int  # fewer than `texts` where there are very many
    words: Spread  # per text
    topics: tuple[Topic, ...]
    topics_note: str = ""  # why there are none
    sentiment: Sentiment | None = None
    sentiment_note: str = ""


class Cluster(Result):
    """Rows that hang together by pairs of near-duplicates."""

    size: int
    loosest: float  # cosine or difference of the pair that is least alike
    members: tuple[Example, ...]  # the first of them


class DuplicateFacts(Result):
    """Near-duplicates in one column."""

    table: Table
    column: str
    measure: str  # what was compared, and from which similarity on two rows are near-duplicates
    compared: int  # rows
    pairs: int  # all of them
    equal_pairs: int  # those of them that do not differ at all
    rows: int  # that occur in any pair
    clusters: int  # all of them
    largest: tuple[Cluster, ...]  # the first of them, by size
    note: str = ""


class Colouring(Result):
    """One way to group the points of the map."""

    name: str
    ordered: bool  # its groups are steps of one scale
    groups: tuple[str, ...]  # the last one is of all others, and may be empty
    of: tuple[int, ...]  # group of each point


class Point(Result):
    """One item on the map."""

    row: str
    name: str
    x: float  # 0 to 1
    y: float  # 0 to 1


class ItemMap(Result):
    """Items in two dimensions: near ones are alike in their columns."""

    columns: tuple[str, ...]  # that it is made of, with their encoders: "plot (tfidf)"
    method: str
    points: tuple[Point, ...]
    colourings: tuple[Colouring, ...]
    notes: tuple[str, ...] = ()


class Description(Result):
    """Everything that the page shows."""

    source: str
    reader: str
    fingerprint: str
    notes: tuple[str, ...]  # what was guessed when the log was read
    interactions: InteractionFacts
    columns: tuple[ColumnFacts, ...]
    media: tuple[MediaFacts, ...]
    texts: tuple[TextFacts, ...]
    duplicates: tuple[DuplicateFacts, ...]
    item_map: ItemMap

    def summary(self) -> list[tuple[str, str]]:
        """Label and finding of every line of the short table."""
        seen = self.interactions
        lines = [
            ("users", f"{seen.users:,}"),
            ("items", f"{seen.items:,}" + (f", and {seen.untaken:,} that nobody took" if seen.untaken else "")),
            ("interactions", f"{seen.interactions:,} ({seen.density:.4%} of all pairs)"),
            ("time", "no timestamps" if seen.first is None else f"{seen.first} to {seen.last}"),
            *((f"{media.column}: files", _faulty(media)) for media in self.media),
            *((f"{text.column}: texts", _disposed(text)) for text in self.texts),
            *((f"{found.column}: near-duplicates", _repeated(found)) for found in self.duplicates),
        ]
        drawn = f"{len(self.item_map.points):,} items by {', '.join(self.item_map.columns)}"
        return [*lines, ("item map", drawn if self.item_map.points else " ".join(self.item_map.notes))]


def _faulty(media: MediaFacts) -> str:
    told = [f"{number:,} {kind}" for kind, number in media.counts.items() if number]
    return f"{media.files:,}: {', '.join(told) or 'no fault'}" + (f". {media.note}" if media.note else "")


def _disposed(text: TextFacts) -> str:
    about = f"largest topic: {text.topics[0].label}" if text.topics else "no topics"
    how = "no sentiment" if text.sentiment is None else f"mean sentiment {text.sentiment.mean:.2f}"
    return f"{text.texts:,} of median {text.words.median:g} words; {about}; {how}"


def _repeated(found: DuplicateFacts) -> str:
    if not found.compared:
        return found.note or "nothing to compare"
    if not found.pairs:
        return f"none among {found.compared:,}"
    return f"{_counted(found.pairs, 'pair')} in {_counted(found.clusters, 'cluster')}"


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def spread_of(values: npt.NDArray[np.int64]) -> Spread:
    """How whole numbers from 0 are spread. Nothing is all zeros."""
    if not len(values):
        return Spread(bars=(), least=0, median=0.0, mean=0.0, most=0, gini=0.0)
    ordered = np.sort(values)
    rank, total = np.arange(1, len(ordered) + 1), int(ordered.sum())
    gini = float((2 * rank - len(ordered) - 1) @ ordered / (len(ordered) * total)) if total else 0.0
    return Spread(
        bars=doubling_bars(values),
        least=int(ordered[0]),
        median=float(np.median(ordered)),
        mean=float(ordered.mean()),
        most=int(ordered[-1]),
        gini=gini,
    )


def doubling_bars(values: npt.NDArray[np.int64]) -> tuple[Bar, ...]:
    """Counts of 0, 1, 2, 3-4, 5-8 and so on, from the first bin that is not empty to the last."""
    step = np.where(values > 0, 1 + np.ceil(np.log2(np.maximum(values, 1))).astype(np.int64), 0)
    counts = np.bincount(step)
    first = int(np.flatnonzero(counts)[0])
    return tuple(Bar(label=_range(number), count=int(counts[number])) for number in range(first, len(counts)))


def _range(step: int) -> str:
    if step <= 1:
        return str(step)
    low, high = 2 ** (step - 2) + 1, 2 ** (step - 1)
    return f"{high:,}" if low == high else f"{low:,}-{high:,}"


def even_bars(values: npt.NDArray[np.float64], edges: Sequence[float], labels: Sequence[str]) -> tuple[Bar, ...]:
    """Counts between edges; the last bin holds its end."""
    counts, _ = np.histogram(values, np.asarray(edges))
    return tuple(Bar(label=label, count=int(count)) for label, count in zip(labels, counts, strict=True))
