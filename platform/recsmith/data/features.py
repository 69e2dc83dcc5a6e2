"""Columns of items, users and interactions become features: encoders fitted on training rows, kept on disk.

The features of a column follow from its content, the encoder's settings and, where it learns from them, the rows that
it was fitted on, and from nothing else: every trial that asks for the same gets the same, made once. An encoder that
learns nothing reads every text and file once, whatever fold or column it stands in.
"""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scipy import sparse

from recsmith.contracts.content import Content, ItemContent
from recsmith.contracts.data import LOG, MEDIA
from recsmith.contracts.errors import PlanError, unknown
from recsmith.contracts.plugins import GRADIENTS
from recsmith.data.coded import content
from recsmith.data.feature_cache import Entry, FeatureCache, Use
from recsmith.data.whitening import Whitened

if TYPE_CHECKING:
    from collections.abc import Mapping

    from recsmith.contracts.config import Choice
    from recsmith.contracts.content import UserContent
    from recsmith.contracts.data import Column, FeatureMatrix, Fold, LongArray
    from recsmith.contracts.plugins import Encoder, EncoderSpec
    from recsmith.wiring.registry import Registry

VALUES = ("text", *MEDIA)  # roles whose values are worth a place of their own in the cache
NAME = 16  # bytes of a value's digest
SEED = 0  # of every encoder: trials differ in their seeds, and share features all the same


@dataclass(frozen=True, eq=False)
class Encoded:
    """The content that a model asked for, and every fitted encoder by column."""

    content: Content
    encoders: Mapping[str, Encoder]


def encode(
    fold: Fold, wanted: ItemContent | UserContent, registry: Registry, cache: FeatureCache | None = None
) -> Encoded:
    """The encoded columns of all items or users of `fold`.

    Encoders learn from the items and users of the training rows only, and of the interactions from the training rows.

    Raises:
        PlanError: a column is not there, or its role is not one that the encoder reads.
    """
    table = _Table.of(fold, wanted)
    features: dict[str, FeatureMatrix] = {}
    encoders: dict[str, Encoder] = {}
    trained: dict[str, Encoder] = {}
    for name, choice in sorted(wanted.encoders.items()):
        spec: EncoderSpec = registry.spec("encoders", choice.name)
        column = table.column(name, choice, spec)
        encoder: Encoder = registry.build("encoders", choice, table.context(registry))
        features[name] = _Column(table, column, choice, encoder, registry).encoded(cache)
        if GRADIENTS in spec.needs:
            trained[name] = encoder
        elif wanted.whiten:
            encoder = Whitened(encoder, wanted.whiten)
            encoder.learn(features[name], table.known)
            features[name] = encoder.whiten(features[name])
        encoders[name] = encoder
    fuser = registry.build("fusers", wanted.fuser, table.context(registry))
    return Encoded(Content(table.rows, features, fuser, trained), encoders)


@dataclass(frozen=True, eq=False)
class _Table:
    """The columns of items or users, and how the training rows lead to them."""

    name: Literal["items", "users"]
    rows: int
    known: LongArray  # rows that occur in training
    columns: Mapping[str, Column]  # [R] each; those of the log [N], named with `LOG`
    owner: LongArray  # [N] the row that each training interaction belongs to
    fold: Fold

    @classmethod
    def of(cls, fold: Fold, wanted: ItemContent | UserContent) -> _Table:
        train = fold.train
        columns = {f"{LOG}{column.name}": column for column in train.context}
        if isinstance(wanted, ItemContent):
            columns |= {column.name: column for column in fold.items}
            known = np.flatnonzero(train.counts)
            return cls("items", train.items, known, columns, train.histories.item_num.astype(np.int64), fold)
        columns |= {column.name: column for column in fold.users}
        return cls("users", train.users, np.arange(train.users), columns, train.histories.rows, fold)

    def column(self, name: str, choice: Choice, spec: EncoderSpec) -> Column:
        if name not in self.columns:
            raise PlanError(f"content: {unknown(f'{self.name[:-1]} column', name, self.columns)}")
        column = self.columns[name]
        if column.role not in spec.roles:
            reads = ", ".join(sorted(spec.roles))
            raise PlanError(f"content: {name}: its role is {column.role}, the encoder {choice.name} reads {reads}.")
        if name.startswith(LOG) and GRADIENTS in spec.needs:
            raise PlanError(f"content: {name}: {choice.name} learns with the model, which reads no column of the log.")
        return replace(column, name=name)

    def context(self, registry: Registry) -> Any:
        return registry.context(item_counts=self.fold.train.counts, users=self.fold.train.users, seed=SEED)

    def averaged(self, features: FeatureMatrix) -> FeatureMatrix:
        """The mean of the interactions' features over each row of the table, [N, F] -> [R, F]; unknown ones apart."""
        if isinstance(features, np.ndarray):
            there = np.flatnonzero((features != 0).any(axis=1))
        else:
            there = np.flatnonzero(np.diff(features.indptr))
        owner = self.owner[there]
        share = 1.0 / np.maximum(np.bincount(owner, minlength=self.rows), 1)
        mean = sparse.csr_array((share[owner], (owner, there)), shape=(self.rows, features.shape[0]))
        averaged = mean.astype(np.float32) @ features
        return averaged if isinstance(averaged, np.ndarray) else sparse.csr_array(averaged)


@dataclass(frozen=True, eq=False)
class _Column:
    """One column on its way through its encoder."""

    table: _Table
    column: Column
    choice: Choice
    encoder: Encoder
    registry: Registry

    def encoded(self, cache: FeatureCache | None) -> FeatureMatrix:
        """The features, from the cache where it has them; the encoder is then loaded, else fitted."""
        if cache is None:
            return self._make().features
        return self._by_value(cache) if self._reads_values_alone else self._whole(cache)

    @property
    def _spec(self) -> EncoderSpec:
        spec: EncoderSpec = self.registry.spec("encoders", self.choice.name)
        return spec

    @property
    def _of_the_log(self) -> bool:
        return self.column.name.startswith(LOG)

    @property
    def _reads_values_alone(self) -> bool:
        """Whether features follow from one value each: whatever fold, table and column it stands in."""
        return not self._spec.fitted and not self._of_the_log and self.column.role in VALUES

    def _whole(self, cache: FeatureCache) -> FeatureMatrix:
        """An entry for just this column, as it was fitted."""
        key = self._key(content(self.column), self._stamps(), self.table.known.astype("<i8").tobytes())
        started = time.monotonic()
        entry = cache.recall(key)
        if entry is None:
            with cache.only_one(key):
                entry = cache.recall(key)  # somebody may have made it while we waited
                if entry is None:
                    entry = self._make()
                    cache.keep(key, entry)
                    self._note(cache, key, "encoded", entry.features.shape[0], started)
                    return entry.features
        self.encoder.load(entry.state)
        self._note(cache, key, "read", entry.features.shape[0], started)
        return entry.features

    def _by_value(self, cache: FeatureCache) -> FeatureMatrix:
        """An entry for all values that this encoder ever read: what is new in it is encoded and added."""
        key, names, started = self._key(), self._names(), time.monotonic()
        entry = cache.recall(key)
        if entry is None or len(_new_among(names, entry)):
            with cache.only_one(key):
                entry = cache.recall(key)  # somebody may have added to it while we waited
                new = _new_among(names, entry)
                if entry is None or len(new):
                    entry = self._extended(entry, names, new)
                    cache.keep(key, entry)
                    self._note(cache, key, "encoded", len(new), started)
                    return _rows_of(names, entry)
        self.encoder.load(entry.state)
        self._note(cache, key, "read", len(names), started)
        return _rows_of(names, entry)

    def _extended(self, entry: Entry | None, names: list[bytes], new: LongArray) -> Entry:
        column = self.column.take(new)
        if entry is None:
            self.encoder.fit(column)
        else:
            self.encoder.load(entry.state)
        features = self.encoder.features(column)
        added = np.frombuffer(b"".join(names[row] for row in new.tolist()), np.uint8).reshape(-1, NAME)
        if entry is not None and entry.names is not None:
            features = stacked(entry.features, features)
            added = np.concatenate([entry.names, added])
        return Entry(features, self.encoder.state(), added)

    def _make(self) -> Entry:
        fitted = self.column if self._of_the_log else self.column.take(self.table.known)
        self.encoder.fit(fitted)
        features = self.encoder.features(self.column)
        return Entry(self.table.averaged(features) if self._of_the_log else features, self.encoder.state())

    def _note(
        self, cache: FeatureCache, key: str, event: Literal["encoded", "read"], rows: int, started: float
    ) -> None:
        faults = dict(getattr(self.encoder, "faults", {})) if event == "encoded" else {}
        seconds = round(time.monotonic() - started, 4)
        cache.note(Use(self.table.name, self.column.name, self.choice.name, key, event, rows, seconds, faults))

    def _key(self, *parts: bytes) -> str:
        """sha256 over the encoder, its settings and `parts`."""
        settings = self.registry.config("encoders", self.choice).model_dump_json()
        origin = self.registry.origins["encoders", self.choice.name]
        header = [self.choice.name, origin, self._spec.version, settings, self.column.role]
        digest = hashlib.sha256(json.dumps(header).encode())
        for part in parts:
            digest.update(part)
        if self._of_the_log:
            digest.update(self.table.owner.astype("<i8").tobytes())
        return digest.hexdigest()

    def _stamps(self) -> bytes:
        """Size and time of change of the files of a media column, in place of their content."""
        return json.dumps([_stamp(path) for path in self.column.values]).encode() if self.column.role in MEDIA else b""

    def _names(self) -> list[bytes]:
        """A digest of every value, [R]; of a file with its size and time of change."""
        media = self.column.role in MEDIA
        written = ([value, _stamp(value) if media else None] for value in self.column.values)
        return [hashlib.blake2b(json.dumps(each).encode(), digest_size=NAME).digest() for each in written]


def stacked(above: FeatureMatrix, below: FeatureMatrix) -> FeatureMatrix:
    """The rows of two matrices of one kind, one after the other."""
    both: Any = (above, below)
    if isinstance(above, np.ndarray):
        rows: FeatureMatrix = np.concatenate(both)
        return rows
    return sparse.csr_array(sparse.vstack(both, format="csr"))


def _new_among(names: list[bytes], entry: Entry | None) -> LongArray:
    """The first place of every name that the entry lacks."""
    known = set() if entry is None else set(_written(entry))
    first: dict[bytes, int] = {}
    for row, name in enumerate(names):
        if name not in known:
            first.setdefault(name, row)
    return np.fromiter(first.values(), np.int64, len(first))


def _rows_of(names: list[bytes], entry: Entry) -> FeatureMatrix:
    """The features of every name, all of which the entry has."""
    place = {name: row for row, name in enumerate(_written(entry))}
    return entry.features[np.fromiter((place[name] for name in names), np.int64, len(names))]


def _written(entry: Entry) -> list[bytes]:
    return [] if entry.names is None else [bytes(name) for name in entry.names]


def _stamp(path: str | None) -> tuple[int, int] | None:
    """Size and time of change of a file; nothing of one that is gone."""
    try:
        status = Path(path).stat() if path is not None else None
    except OSError:
        return None
    return None if status is None else (status.st_size, status.st_mtime_ns)
