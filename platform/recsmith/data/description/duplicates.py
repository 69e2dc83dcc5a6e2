"""Rows of a column that hardly differ: found exactly, block by block, and gathered into clusters.

Texts are compared by the cosine of their TF-IDF weights over all their words. Pictures and sounds are compared by the
distance of their statistics. The limits were chosen on 630 pictures (photographs and parts of them, drawn digits, noise
of four hues) and 222 sounds (generated music, tones of four pitches) with altered copies: below them lay no two that
differ, and above them most copies that were saved anew, halved in size or cut by 2 % (pictures), or made quieter,
resampled or cut at the beginning (sounds). Copies of sounds through a lossy codec are not found.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph
from sklearn.preprocessing import normalize

from recsmith.contracts.errors import PluginError
from recsmith.data.description.columns import known_rows
from recsmith.data.description.encoding import note
from recsmith.data.description.facts import Cluster, DuplicateFacts
from recsmith.data.description.near import Pairs, near_rows, near_texts
from recsmith.data.description.texts import sampled

if TYPE_CHECKING:
    from collections.abc import Mapping

    from recsmith.contracts.data import Column, DoubleArray, FeatureMatrix, LongArray
    from recsmith.data.description.encoding import Encodings, Source

MOST_COMPARED = 200_000  # rows
CLUSTERS, MEMBERS = 50, 10  # that are named
ONE_LETTER = re.compile(r"\b\w\b")
EVERY_WORD = {"min_df": 1, "max_features": 10**9, "ngrams": 1, "components": 0}  # one that differs, differs


@dataclass(frozen=True)
class Measure:
    """How rows are compared: by their cosine, or the root mean square of the differences of standard scores."""

    encoder: str
    kind: Literal["cosine", "difference"]
    limit: float  # the least cosine, or the largest difference
    says: str

    @property
    def equal(self) -> float:
        """What rows that do not differ have."""
        return 1.0 if self.kind == "cosine" else 0.0

    def pairs(self, features: FeatureMatrix) -> Pairs:
        """All pairs of rows within the limit; none of the rows is zero, and no two are equal."""
        if not isinstance(features, np.ndarray):
            return near_texts(sparse.csr_array(features), self.limit)
        if self.kind == "difference":
            return near_rows(features / np.sqrt(features.shape[1]), self.limit)
        found = near_rows(normalize(features.astype(np.float64)), float(np.sqrt(2 - 2 * self.limit)))
        return replace(found, value=1 - found.value**2 / 2)


MEASURES: Mapping[str, Measure] = {
    "text": Measure("tfidf", "cosine", 0.95, "TF-IDF of the words, cosine of at least 0.95"),
    "image": Measure("image_statistics", "cosine", 0.995, "statistics of colours and edges, cosine of at least 0.995"),
    "audio": Measure("audio_statistics", "difference", 0.15, "statistics of spectra, differing by 0.15 deviations"),
}


def duplicates_of(source: Source, encodings: Encodings) -> DuplicateFacts:
    """The near-duplicates of a column of texts, pictures or sounds."""
    measure = MEASURES[source.column.role]
    known = np.flatnonzero(known_rows(source.column))
    rows = sampled(known, MOST_COMPARED)
    notes = [f"{len(rows):,} of {len(known):,} were compared."] if len(rows) < len(known) else []
    try:
        features = _features(source, rows, measure, encodings)
    except PluginError as error:
        nothing = _Found.among(np.zeros((0, 1), np.float32), measure)
        return _facts(source, measure, rows[:0], nothing, note("Near-duplicates were not looked for", error))
    there = np.flatnonzero((features != 0).any(1) if isinstance(features, np.ndarray) else np.diff(features.indptr))
    found = _Found.among(features[there], measure)
    if not found.complete:
        notes.append("There are so many pairs that not all were looked at: there are more than said here.")
    return _facts(source, measure, rows[there], found, " ".join(notes))


def _features(source: Source, rows: LongArray, measure: Measure, encodings: Encodings) -> FeatureMatrix:
    if source.column.role != "text":
        return encodings.of(source, measure.encoder).features[rows]
    features = encodings.of(source, measure.encoder, lambda column: _spelt(column.take(rows)), **EVERY_WORD).features
    return features if isinstance(features, np.ndarray) else sparse.csr_array(features)


def _spelt(column: Column) -> Column:
    """The texts with words of one letter made longer, which TF-IDF would pass over: "I.Q." is not "S.F.W."."""
    values = np.empty(len(column.values), object)
    values[:] = [ONE_LETTER.sub(r"\g<0>_", text) for text in column.values]
    return replace(column, values=values)


@dataclass(frozen=True, eq=False)
class _Found:
    """What was found among R rows."""

    cluster: LongArray  # [R] number of the cluster of each row; one that is alone has one of its own
    loosest: DoubleArray  # by cluster: of its pairs the one that is least alike
    pairs: int
    equal_pairs: int
    complete: bool

    @classmethod
    def among(cls, features: FeatureMatrix, measure: Measure) -> _Found:
        """Equal rows are counted together, so that a value that occurs a thousand times is compared once."""
        first, group = _distinct(features)
        sizes = np.bincount(group, minlength=len(first))
        near = measure.pairs(features[first]) if len(first) > 1 else near_rows(np.zeros((0, 1), np.float32), 0.0)
        edges = (np.ones(len(near.first)), (near.first, near.second))
        graph = sparse.csr_array(edges, shape=(len(first), len(first)))
        count, component = csgraph.connected_components(graph, directed=False)
        loosest = np.full(count, measure.equal)
        (np.minimum if measure.kind == "cosine" else np.maximum).at(loosest, component[near.first], near.value)
        equal = int((sizes * (sizes - 1) // 2).sum())
        pairs = equal + int((sizes[near.first] * sizes[near.second]).sum())
        return cls(component[group].astype(np.int64), loosest, pairs, equal, near.complete)


def _distinct(features: FeatureMatrix) -> tuple[LongArray, LongArray]:
    """The first of each of the D different rows, [D], and the number from 0 of every row's, [R]."""
    seen: dict[bytes, int] = {}
    first: list[int] = []
    group = np.zeros(features.shape[0], np.int64)
    for row in range(features.shape[0]):
        if isinstance(features, np.ndarray):
            content = features[row].tobytes()
        else:
            begin, end = features.indptr[row], features.indptr[row + 1]
            content = features.indices[begin:end].tobytes() + features.data[begin:end].tobytes()
        group[row] = seen.setdefault(content, len(seen))
        if group[row] == len(first):
            first.append(row)
    return np.array(first, np.int64), group


def _facts(source: Source, measure: Measure, rows: LongArray, found: _Found, told: str) -> DuplicateFacts:
    sizes = np.bincount(found.cluster, minlength=1)
    members = np.split(np.argsort(found.cluster, kind="stable"), np.cumsum(sizes)[:-1])
    order = sorted(np.flatnonzero(sizes > 1), key=lambda number: (-sizes[number], members[number][0]))
    largest = tuple(
        Cluster(
            size=int(sizes[number]),
            loosest=round(float(found.loosest[number]), 4),
            members=source.examples(rows[members[number][:MEMBERS]]),
        )
        for number in order[:CLUSTERS]
    )
    return DuplicateFacts(
        table=source.table,
        column=source.column.name,
        measure=measure.says,
        compared=len(rows),
        pairs=found.pairs,
        equal_pairs=found.equal_pairs,
        rows=int(sizes[sizes > 1].sum()),
        clusters=len(order),
        largest=largest,
        note=told,
    )
