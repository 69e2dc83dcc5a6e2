"""Raw columns become arrays: ids, numbers, moments. Every fault is told with its file, column and row.

Rows are counted from 1 below the header. pandas is imported where it is used.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from recsmith.contracts.data import TEST, TRAIN, UNUSED, VALID
from recsmith.contracts.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

    from recsmith.contracts.data import BoolArray, DoubleArray, IntArray, LongArray

LATEST = 4_102_444_800  # 2100-01-01, Unix seconds
UNITS = (  # of an epoch: name, ticks per second, and the size from which on it is meant
    ("nanoseconds", 10**9, 10**17),
    ("microseconds", 10**6, 10**14),
    ("milliseconds", 10**3, 10**11),
    ("seconds", 1, 0),
)
DATE_FORMATS = ("ISO8601", "%d-%b-%Y", "%d %b %Y")  # the unambiguous ones
LABELS = {  # of a split that the log carries, in any case
    **dict.fromkeys(("train", "training"), TRAIN),
    **dict.fromkeys(("valid", "validation", "val", "dev"), VALID),
    **dict.fromkeys(("test", "testing"), TEST),
}

ObjectArray = npt.NDArray[np.object_]


@dataclass(frozen=True)
class Place:
    """Where a column stands, for messages."""

    origin: str
    column: str

    def fault(self, row: int, what: str) -> DataError:
        """The error for row `row` (from 0)."""
        return DataError(f"{self.origin}: column {self.column!r}, row {row + 1}: {what}")

    def first(self, bad: BoolArray, series: pd.Series[Any], what: str) -> None:
        """Raise for the first bad row, quoting its value, where there is one."""
        if bad.any():
            row = int(np.argmax(bad))
            raise self.fault(row, f"{str(series.iloc[row])[:60]!r} {what}")


def missing(series: pd.Series[Any]) -> BoolArray:
    """Which values are absent, [R]."""
    return np.asarray(series.isna(), dtype=bool)


def identifiers(series: pd.Series[Any], place: Place) -> tuple[IntArray, ObjectArray]:
    """Codes [R] into the ids that occur, sorted by code point; every id is the text that stands in the source.

    Raises:
        DataError: an id is missing or blank, or is a number with a fraction.
    """
    import pandas as pd

    codes, uniques = pd.factorize(series)
    absent = codes < 0
    if absent.any():
        raise place.fault(int(np.argmax(absent)), "the id is missing. Drop the row or give it an id.")
    written = np.empty(len(uniques), object)
    for number, value in enumerate(np.asarray(uniques, object)):
        written[number] = _written(value)
        if written[number] is None or not written[number].strip() or "\0" in written[number]:
            row = int(np.argmax(codes == number))
            fraction = "is a number with a fraction, not an id. Read ids as text."
            raise place.fault(row, f"{value!r} {fraction if written[number] is None else 'is a blank id.'}")
    ids, inverse = np.unique(written, return_inverse=True)
    return inverse.astype(np.int32)[codes], ids


def _written(value: object) -> str | None:
    if isinstance(value, (float, np.floating)):
        return str(int(value)) if float(value).is_integer() else None
    return str(value)


def numbers(series: pd.Series[Any], place: Place) -> DoubleArray:
    """Float64 [R], NaN where the value is missing.

    Raises:
        DataError: a value is no number, NaN in words, or infinite.
    """
    import pandas as pd

    values = np.asarray(pd.to_numeric(_as_text(series), errors="coerce"), np.float64)
    place.first(np.isnan(values) & ~missing(series), series, "is not a number.")
    place.first(np.isinf(values), series, "is infinite.")
    return values


def complete_numbers(series: pd.Series[Any], place: Place) -> DoubleArray:
    """As `numbers`, but every row must have one."""
    values = numbers(series, place)
    bad = np.isnan(values)
    if bad.any():
        raise place.fault(int(np.argmax(bad)), "the value is missing. Drop the row, or set the column's role to none.")
    return values


def labels(series: pd.Series[Any], place: Place) -> npt.NDArray[np.int8]:
    """TRAIN, VALID or TEST as the texts say, [N]; UNUSED where there is none.

    Raises:
        DataError: a text is no label.
    """
    import pandas as pd

    written = series.astype(object).astype(str).where(~missing(series))  # also of cells that cannot be compared
    codes, kinds = pd.factorize(written)
    texts = [str(kind).strip().lower() for kind in kinds] + [""]  # the last one is that of a missing label, code -1
    unknown = np.array([text != "" and text not in LABELS for text in texts])
    place.first(unknown[codes], series, f"is no label of a split ({', '.join(LABELS)}).")
    return np.array([LABELS.get(text, UNUSED) for text in texts], np.int8)[codes]


def _as_text(series: pd.Series[Any]) -> pd.Series[Any]:
    """A text column as plain objects, which pandas parses exactly; others as they are."""
    return series.astype(object) if series.dtype.kind not in "iufb" else series


@dataclass(frozen=True, eq=False)
class Moments:
    """Timestamps as whole Unix seconds, and the finer value by which rows are sorted."""

    seconds: LongArray  # [N]
    key: LongArray | DoubleArray  # [N], in the source's own unit
    note: str | None


def moments(series: pd.Series[Any], place: Place) -> Moments:
    """Unix seconds of every row; epochs in finer units are known by their size, text may be ISO dates in UTC.

    Raises:
        DataError: a moment is missing, unreadable, or not between 1970 and 2100.
    """
    absent = missing(series)
    if absent.any():
        raise place.fault(int(np.argmax(absent)), "the timestamp is missing. Drop the row, or set `timestamp: none`.")
    key, dated = _ticks(series, place)
    typical = np.median(np.abs(key))
    unit, scale = UNITS[1][:2] if dated else next((name, ticks) for name, ticks, size in UNITS if typical >= size)
    seconds = np.floor_divide(key, scale).astype(np.int64)
    place.first(seconds < 0, series, "lies before 1970. Timestamps count from 1970-01-01 in UTC.")
    place.first(seconds >= LATEST, series, f"read as {unit} lies after the year 2099. Mend the row or the unit.")
    note: str | None = None
    if dated:
        note = f"{place.column!r} holds dates: read as UTC."
    elif scale > 1:
        note = f"{place.column!r} counts {unit}: converted to seconds, sorted at full precision."
    return Moments(seconds, key, note)


def _ticks(series: pd.Series[Any], place: Place) -> tuple[LongArray | DoubleArray, bool]:
    """The values as numbers, and whether they were dates (then they are microseconds)."""
    import pandas as pd

    if series.dtype.kind == "M":
        return _microseconds(series), True
    raw = _as_text(series)
    values = pd.to_numeric(raw, errors="coerce")
    bad = missing(values)
    if bad.all():
        dates = pd.to_datetime(raw, format="ISO8601", utc=True, errors="coerce")
        place.first(missing(dates), series, "is neither a number of seconds nor an ISO date.")
        return _microseconds(dates), True
    place.first(bad, series, "is not a timestamp.")
    if values.dtype.kind in "iu":
        return np.asarray(values, np.int64), False
    exact = np.asarray(values, np.float64)
    place.first(~np.isfinite(exact), series, "is not a timestamp.")
    return exact, False


def _microseconds(dates: pd.Series[Any]) -> LongArray:
    naive = dates.dt.tz_convert("UTC").dt.tz_localize(None) if dates.dt.tz is not None else dates
    return np.asarray(naive.astype("datetime64[us]"), "datetime64[us]").astype(np.int64)


def dates(series: pd.Series[Any]) -> DoubleArray:
    """Unix seconds as float64, NaN where missing or unreadable; the best of the known formats."""
    import pandas as pd

    if series.dtype.kind == "M":
        return np.where(missing(series), np.nan, _microseconds(series) / 1e6)
    raw = _as_text(series)
    best = np.full(len(series), np.nan)
    for form in DATE_FORMATS:
        found = pd.to_datetime(raw, format=form, utc=True, errors="coerce")
        if found.notna().sum() > np.isfinite(best).sum():
            best = np.where(missing(found), np.nan, _microseconds(found) / 1e6)
    return best
