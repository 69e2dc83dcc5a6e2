"""Item columns become one feature matrix: encoders fitted on the items of the training rows, joined by a fuser.

The features and the fitted encoder of a column are kept on disk, see `feature_cache`.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from recsmith.contracts.errors import PlanError, unknown
from recsmith.data.coded import content
from recsmith.data.feature_cache import Entry, keep, recall

if TYPE_CHECKING:
    from collections.abc import Mapping

    from recsmith.contracts.config import Choice
    from recsmith.contracts.content import ItemContent
    from recsmith.contracts.data import Column, FeatureMatrix, Fold, LongArray
    from recsmith.contracts.plugins import BuildContext, Encoder, Fuser
    from recsmith.wiring.registry import Registry

MEDIA = ("image", "audio")


def encode_items(
    fold: Fold, wanted: ItemContent, registry: Registry, seed: int, cache: Path | None = None
) -> tuple[FeatureMatrix, dict[str, Encoder]]:
    """The fused features of all items of `fold`, [I, F], and the fitted encoders by column.

    Encoders learn from the items that occur in the training rows only. Without any encoder the matrix is [I, 0].

    Raises:
        PlanError: a column is not there, or its role is not one that the encoder reads.
    """
    context = registry.context(item_counts=fold.train.counts, users=fold.train.users, seed=seed)
    fit_rows = np.flatnonzero(context.item_counts)
    features: dict[str, FeatureMatrix] = {}
    encoders: dict[str, Encoder] = {}
    for name, choice in sorted(wanted.encoders.items()):
        column = _column(fold.items, name, choice, registry)
        encoder: Encoder = registry.build("encoders", choice, context)
        features[name] = _encoded(encoder, column, fit_rows, _key(choice, column, fit_rows, context, registry), cache)
        encoders[name] = encoder
    return fused(features, registry.build("fusers", wanted.fuser, context), fold.train.items), encoders


def fused(features: Mapping[str, FeatureMatrix], fuser: Fuser, rows: int) -> FeatureMatrix:
    """One matrix from those of the columns; [rows, 0] when there are none."""
    return fuser.fuse(features) if features else np.zeros((rows, 0), np.float32)


def _column(columns: tuple[Column, ...], name: str, choice: Choice, registry: Registry) -> Column:
    named = {column.name: column for column in columns}
    if name not in named:
        raise PlanError(f"content: {unknown('item column', name, named)}")
    roles = registry.spec("encoders", choice.name).roles
    if named[name].role not in roles:
        reads = ", ".join(sorted(roles))
        raise PlanError(f"content: {name}: its role is {named[name].role}, the encoder {choice.name} reads {reads}.")
    return named[name]


def _encoded(encoder: Encoder, column: Column, fit_rows: LongArray, key: str, cache: Path | None) -> FeatureMatrix:
    entry = None if cache is None else recall(cache, key)
    if entry is not None:
        encoder.load(entry.state)
        return entry.features
    encoder.fit(column.take(fit_rows))
    features = encoder.features(column)
    if cache is not None:
        keep(cache, key, Entry(features, encoder.state()))
    return features


def _key(choice: Choice, column: Column, fit_rows: LongArray, context: BuildContext, registry: Registry) -> str:
    """sha256 over everything that the features follow from."""
    spec = registry.spec("encoders", choice.name)
    settings = registry.config("encoders", choice).model_dump_json()
    header = [choice.name, spec.api_version, settings, column.name, column.role, context.seed]
    digest = hashlib.sha256(json.dumps(header).encode())
    digest.update(content(column))
    if column.role in MEDIA:
        digest.update(json.dumps([_stamp(path) for path in column.values]).encode())
    digest.update(fit_rows.astype("<i8").tobytes())
    return digest.hexdigest()


def _stamp(path: str | None) -> tuple[int, int] | None:
    """Size and time of change of a media file, in place of its content."""
    if path is None:
        return None
    status = Path(path).stat()
    return status.st_size, status.st_mtime_ns
