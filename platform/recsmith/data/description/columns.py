"""What stands in each column, and what is wrong with the files that it names."""

from __future__ import annotations

import os
import stat
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from recsmith.contracts.data import MEDIA
from recsmith.contracts.errors import PluginError
from recsmith.data.description.encoding import note, shortened
from recsmith.data.description.facts import Bar, ColumnFacts, MediaFacts, MediaFault

if TYPE_CHECKING:
    from collections.abc import Mapping

    from recsmith.contracts.data import BoolArray, Column
    from recsmith.data.coded import Dataset
    from recsmith.data.description.encoding import Encodings, Source
    from recsmith.data.description.facts import Fault, Table

EXAMPLE = 60  # characters
FIRST_BYTES = 16
ENDINGS = {
    **dict.fromkeys((".jpg", ".jpeg"), "JPEG"),
    **{f".{name.lower()}": name for name in ("PNG", "GIF", "BMP", "MP3", "WAV", "FLAC", "OGG", "M4A")},
    ".webp": "WebP",
}
KINDS: tuple[Fault, ...] = ("missing", "empty", "broken", "mislabelled")


def columns_of(dataset: Dataset, sources: tuple[Source, ...]) -> tuple[ColumnFacts, ...]:
    """Every column: those of the log that are in use, those that are not, and those of the tables."""
    used = [_used(dataset, role, name) for role, name in dataset.columns.items()]
    aside = [
        _column("interactions", name, f"{role} (not used; name it in data.columns.context)", None, None, "")
        for name, role in dataset.left_aside.items()
    ]
    return (*used, *aside, *map(_told, sources))


def _column(
    table: Table, name: str, role: str, missing: float | None, distinct: int | None, example: str
) -> ColumnFacts:
    return ColumnFacts(table=table, name=name, role=role, missing=missing, distinct=distinct, example=example)


def _used(dataset: Dataset, role: str, name: str) -> ColumnFacts:
    """A column of the log that became ids, moments or values; every row has one."""
    if role in {"user", "item"}:
        codes = dataset.user if role == "user" else dataset.item
        ids = dataset.user_ids if role == "user" else dataset.item_ids
        return _column("interactions", name, role, 0.0, len(np.unique(codes)), str(ids[codes[0]]))
    values = {"timestamp": dataset.timestamp, "value": dataset.value}.get(role)
    if values is None:
        return _column("interactions", name, role, 0.0, None, "")
    least, most = float(values.min()), float(values.max())
    told = f"{moment(least)} to {moment(most)}" if role == "timestamp" else f"{least:g} to {most:g}"
    return _column("interactions", name, role, 0.0, len(np.unique(values)), told)


def _told(source: Source) -> ColumnFacts:
    column = source.column
    gone = ~known_rows(column)
    there = column.values[~gone]
    if column.role in {"number", "time"}:
        show = moment if column.role == "time" else "{:g}".format
        example = f"{show(there.min())} to {show(there.max())}" if len(there) else ""
        distinct = len(np.unique(there))
    elif column.role == "vector":
        distinct, example = len(np.unique(there, axis=0)), f"{column.values.shape[1]} numbers"
    elif column.role == "categories":
        distinct = len({entry for value in there for entry in value})
        example = shortened(", ".join(there[0]), EXAMPLE) if len(there) else ""
    else:
        first = Path(there[0]).name if len(there) and column.role in MEDIA else there[0] if len(there) else ""
        distinct, example = len(set(there)), shortened(first, EXAMPLE)
    return _column(source.table, column.name, column.role, float(gone.mean()), distinct, example)


def known_rows(column: Column) -> BoolArray:
    """Which values are there, [R]."""
    known: BoolArray
    if column.role == "vector":
        known = (column.values != 0).any(axis=1)
    elif column.values.dtype == object:
        known = np.array([value is not None for value in column.values], bool)
    else:
        known = ~np.isnan(column.values)
    return known


def moment(seconds: Any) -> str:
    """A day; before year 1 and after year 9999 the number."""
    try:
        return datetime.fromtimestamp(float(seconds), UTC).date().isoformat()
    except (OverflowError, ValueError, OSError):
        return f"{seconds:g}"


# --- files ------------------------------------------------------------------------------------------------------------


def media_of(source: Source, encodings: Encodings) -> MediaFacts:
    """The files of a column, by the encoder of their statistics, which has to read every one."""
    column, told = source.column, ""
    unread: Mapping[str, str] = {}
    try:
        unread = encodings.of(source, f"{column.role}_statistics").faults
    except PluginError as error:
        told = note("Whether files are broken was not looked at", error)
    rows = np.flatnonzero(known_rows(column))
    paths = sorted({str(column.values[row]) for row in rows})
    formats = {path: _format(path) for path in paths}
    found = {path: fault for path in paths if (fault := _fault(path, formats[path], unread.get(path)))}
    faults = tuple(
        MediaFault(
            row=source.row(row),
            name=source.name(row),
            file=_shown(str(column.values[row]), source.dataset.source),
            kind=found[str(column.values[row])][0],
            reason=found[str(column.values[row])][1],
        )
        for row in map(int, rows)
        if str(column.values[row]) in found
    )
    sizes = [size for path in paths if (size := _size(path))]
    counted = Counter(name or "unknown" for path, name in formats.items() if _size(path))
    return MediaFacts(
        table=source.table,
        column=column.name,
        role=column.role,
        files=len(rows),
        formats=tuple(Bar(label=name, count=count) for name, count in sorted(counted.items())),
        median_bytes=float(np.median(sizes)) if sizes else 0.0,
        counts={kind: sum(fault.kind == kind for fault in faults) for kind in KINDS},
        faults=faults,
        note=told,
    )


def _fault(path: str, content: str | None, unread: str | None) -> tuple[Fault, str] | None:
    status = _status(path)
    if status is None:
        return "missing", "there is no such file"
    if not status.st_size:
        return "empty", "it is empty"
    if unread is not None:
        return "broken", unread
    named = ENDINGS.get(Path(path).suffix.lower())
    if content is not None and named is not None and content != named:
        return "mislabelled", f"its name says {named}, its content is {content}"
    return None


def _status(path: str) -> os.stat_result | None:
    try:
        return Path(path).stat()
    except (OSError, ValueError):  # ValueError: a path with a zero byte
        return None


def _size(path: str) -> int:
    """Bytes of a regular file, else 0."""
    status = _status(path)
    return status.st_size if status is not None and stat.S_ISREG(status.st_mode) else 0


def _format(path: str) -> str | None:
    """The format that the first bytes of a file tell."""
    if not _size(path):
        return None
    try:
        with Path(path).open("rb") as file:
            first = file.read(FIRST_BYTES)
    except OSError:
        return None
    if first[:4] in {b"RIFF", b"RF64"}:
        return {b"WAVE": "WAV", b"WEBP": "WebP"}.get(first[8:12])
    if first[4:8] == b"ftyp":
        return "M4A"
    marks = {
        "JPEG": (b"\xff\xd8\xff",),
        "PNG": (b"\x89PNG",),
        "GIF": (b"GIF8",),
        "BMP": (b"BM",),
        "FLAC": (b"fLaC",),
        "OGG": (b"OggS",),
        "MP3": (b"ID3", *(bytes((0xFF, second)) for second in (0xFA, 0xFB, 0xF2, 0xF3, 0xE2, 0xE3))),
    }
    return next((name for name, beginnings in marks.items() if first.startswith(beginnings)), None)


def _shown(path: str, source: str) -> str:
    """A path below the log's folder as the log writes it; of others the name."""
    base = Path(source).resolve()
    inside = os.path.relpath(path, base if base.is_dir() else base.parent)
    return Path(path).name if inside.startswith("..") else inside
