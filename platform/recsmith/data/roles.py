"""Column roles: inferred from the values, or stated by the plan; and the values in the shape of their role."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from recsmith.contracts.data import Column, Role
from recsmith.contracts.errors import DataError, unknown
from recsmith.data.values import Place, dates, missing, numbers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy.typing as npt
    import pandas as pd

SAMPLE = 5_000  # values that are looked at to infer a role
ENDINGS: dict[Role, tuple[str, ...]] = {
    "image": (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp"),
    "audio": (".mp3", ".wav", ".flac", ".ogg", ".m4a"),
}
KEY_NAME = re.compile(r"(^|[_\s-])(id|ids|code|zip|zipcode|key|uuid|sku|isbn|asin|url|uri|link)$", re.IGNORECASE)
PHRASE = 4  # words of a category on average, at most; more read as sentences
SINGLE = 1.5  # words on average under which values count as single words
FEW = 20  # distinct values that make a category whatever the number of rows
LOOKED_UP = 100  # files, at most, to see that one is there
VECTOR_WIDTH = 4  # numbers in one cell, at least


def infer(name: str, series: pd.Series[Any], base: Path | None) -> Role:
    """The role of a column that is not all missing, by its name and the first values that are there."""
    present = series[~missing(series)].iloc[:SAMPLE]
    if series.dtype.kind == "M":
        return "time"
    if series.dtype.kind == "b":
        return "category"
    if series.dtype.kind in "iuf":
        return _of_numbers(name, present)
    first = present.iloc[0]
    if isinstance(first, (list, tuple, np.ndarray)):
        return "categories" if len(first) and isinstance(first[0], str) else "vector"
    return _of_text(name, [str(value).strip() for value in present], present, base)


def _of_numbers(name: str, present: pd.Series[Any]) -> Role:
    if not KEY_NAME.search(name):
        return "number"
    return "category" if _repeats(present.nunique(), len(present)) else "id"


def _of_text(name: str, texts: list[str], present: pd.Series[Any], base: Path | None) -> Role:
    words = sum(len(text.split()) for text in texts) / len(texts)
    distinct = len(set(texts))
    rules: tuple[tuple[Role, Callable[[], bool]], ...] = (  # the first that holds
        ("image", lambda: _files(texts, ENDINGS["image"], base)),
        ("audio", lambda: _files(texts, ENDINGS["audio"], base)),
        (_of_numbers(name, present), lambda: all(map(_number, texts))),
        ("id", lambda: all(text.startswith(("http://", "https://")) for text in texts)),
        ("vector", lambda: _vectors(texts)),
        ("time", lambda: bool(np.isfinite(dates(present)).all())),
        ("categories", lambda: _lists(texts)),
        ("category", lambda: words <= PHRASE and _repeats(distinct, len(texts))),
        ("id", lambda: words < SINGLE and (bool(KEY_NAME.search(name)) or distinct > FEW)),
        ("category", lambda: words < SINGLE),
    )
    return next((role for role, holds in rules if holds()), "text")


def _files(texts: list[str], endings: tuple[str, ...], base: Path | None) -> bool:
    if not all(text.lower().endswith(endings) for text in texts):
        return False
    return any(((base or Path()) / text).is_file() for text in texts[:LOOKED_UP])


def _repeats(distinct: int, rows: int) -> bool:
    return distinct <= rows // 2


def _number(text: str) -> bool:
    try:
        return bool(np.isfinite(float(text)))
    except ValueError:
        return False


def _parts(text: str) -> list[str]:
    return text.strip("[]() ").replace(",", " ").replace(";", " ").split()


def _vectors(texts: list[str]) -> bool:
    widths = {len(_parts(text)) for text in texts}
    return (
        len(widths) == 1
        and widths.pop() >= VECTOR_WIDTH
        and any("." in text for text in texts)
        and all(_number(part) for text in texts for part in _parts(text))
    )


def separator(texts: list[str]) -> str:
    """What separates the entries of a list written in one cell."""
    return "|" if any("|" in text for text in texts) else ","


def _lists(texts: list[str]) -> bool:
    """Short entries that come again in other rows."""
    sign = separator(texts)
    entries = [entry.strip() for text in texts for entry in text.split(sign)]
    if len(entries) == len(texts):
        return False
    short = sum(len(entry.split()) for entry in entries) <= 3 * len(entries)
    return short and (sign == "|" or _repeats(len(set(entries)), len(entries)))


def columns_of(
    table: pd.DataFrame,
    stated: Mapping[str, Role],
    origin: str,
    base: Path | None,
) -> tuple[Column, ...]:
    """Every column of `table` in its role, aligned with its rows; columns without any value are left out.

    Raises:
        DataError: the plan states a role for a column that is not there, or whose values do not fit it.
    """
    for name in stated:
        if name not in table.columns:
            raise DataError(f"{origin}: {unknown('column', name, map(str, table.columns))}")
    made = []
    for name in map(str, table.columns):
        series = table[name]
        if not missing(series).all():
            role = stated.get(name) or infer(name, series, base)
            made.append(Column(name, role, shaped(series, role, Place(origin, name), base)))
        elif name in stated:
            raise DataError(f"{origin}: column {name!r} holds no value. Leave it out of the plan.")
    return tuple(made)


def shaped(series: pd.Series[Any], role: Role, place: Place, base: Path | None) -> npt.NDArray[Any]:
    """The values as `contracts.data.Column` wants them for `role`."""
    if role == "number":
        return numbers(series, place)
    if role == "time":
        return _times(series, place)
    if role == "vector":
        return _matrix(series, place)
    gone = missing(series)
    objects = series.astype(object).to_numpy()
    values = np.full(len(series), None, object)
    if role == "categories":
        sign = separator([value for value in objects[~gone] if isinstance(value, str)])
        for row in np.flatnonzero(~gone):
            values[row] = _entries(objects[row], sign)
        return values
    for row in np.flatnonzero(~gone):
        values[row] = str(objects[row])
    if role in ENDINGS:
        return _paths(values, place, base or Path())
    return values


def _times(series: pd.Series[Any], place: Place) -> npt.NDArray[np.float64]:
    if series.dtype.kind in "iuf" or all(_number(str(value)) for value in series[~missing(series)].iloc[:SAMPLE]):
        return numbers(series, place)
    values = dates(series)
    place.first(np.isnan(values) & ~missing(series), series, "is no date. Write dates as YYYY-MM-DD.")
    return values


def _entries(value: object, sign: str) -> tuple[str, ...] | None:
    parts = (
        value.split(sign)
        if isinstance(value, str)
        else value
        if isinstance(value, (list, tuple, np.ndarray))
        else [value]
    )
    entries = tuple(entry for entry in (str(part).strip() for part in parts) if entry)
    return entries or None


def _paths(values: npt.NDArray[Any], place: Place, base: Path) -> npt.NDArray[Any]:
    """Absolute paths. A file that is not there is left to whoever reads it: it is a missing value, and is counted."""
    named = [row for row, value in enumerate(values) if value is not None]
    found = 0
    for row in named:
        path = (base / values[row]).resolve()
        found += path.is_file()
        values[row] = str(path)
    if named and not found:
        name = Path(values[named[0]]).name
        raise place.fault(named[0], f"not one of {len(named)} files is there (the first is {name!r}, in {base}).")
    return values


def _matrix(series: pd.Series[Any], place: Place) -> npt.NDArray[np.float32]:
    """Float32 [R, D]; a missing vector is a row of zeros."""
    there = np.flatnonzero(~missing(series))
    cells = series.astype(object).to_numpy()[there]
    with np.errstate(over="ignore"):  # a number too large for float32 is infinite, and told as such
        vectors = [_vector(cell, row, place) for row, cell in zip(there.tolist(), cells, strict=True)]
    width = len(vectors[0])
    for row, vector in zip(there.tolist(), vectors, strict=True):
        if len(vector) != width:
            raise place.fault(row, f"the vector has {len(vector)} numbers, the first one has {width}.")
    block = np.concatenate(vectors).reshape(len(vectors), width)
    finite = np.isfinite(block).all(axis=1)
    if not finite.all():
        raise place.fault(int(there[np.argmin(finite)]), "the vector holds NaN or infinity.")
    if len(there) == len(series):
        return block
    matrix = np.zeros((len(series), width), np.float32)
    matrix[there] = block
    return matrix


def _vector(cell: Any, row: int, place: Place) -> npt.NDArray[np.float32]:
    try:
        return np.asarray(_parts(cell) if isinstance(cell, str) else cell, np.float32).ravel()
    except (TypeError, ValueError) as error:
        raise place.fault(row, f"{str(cell)[:60]!r} is no vector of numbers.") from error
