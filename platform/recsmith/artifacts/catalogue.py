"""Who and what an artifact knows: identifiers, columns, histories and the popularity that is the fallback."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from recsmith.artifacts.files import REMEDY, read_arrays, write_arrays
from recsmith.contracts.data import MEDIA, Column, Histories, Role
from recsmith.contracts.errors import ArtifactError

if TYPE_CHECKING:
    import numpy.typing as npt

    from recsmith.contracts.artifact import Manifest
    from recsmith.contracts.data import BoolArray, Fold, LongArray

ALIGNED = {"timestamp": pa.int64(), "value": pa.float32(), "weight": pa.float32()}  # beside item_num, where present
LARGEST_EXPANSION = 1000  # times the file's size that its content may take in memory
SMALL = 64 * 2**20  # bytes that any file may take in memory


@dataclass(frozen=True, eq=False)
class Catalogue:
    """Everything in catalog/, by item and user number. Media columns keep their files' names only."""

    item_ids: npt.NDArray[Any]  # [I] of str
    user_ids: npt.NDArray[Any]  # [U] of str
    items: tuple[Column, ...]
    users: tuple[Column, ...]
    histories: Histories  # of U lists
    counts: LongArray  # [I] interactions per item in training
    ordered: bool
    candidates: BoolArray | None = None  # [I] which may be recommended, where not all


def catalogue_of(fold: Fold) -> Catalogue:
    """What the training rows of a fold know."""
    train = fold.train
    return Catalogue(
        fold.item_ids,
        fold.user_ids,
        fold.items,
        fold.users,
        train.histories,
        train.counts,
        train.ordered,
        fold.candidates,
    )


def write_catalogue(folder: Path, catalogue: Catalogue) -> None:
    """Write items.parquet, users.parquet, histories.parquet and popularity.safetensors."""
    folder.mkdir()
    _write_table(folder / "items.parquet", "item_id", catalogue.item_ids, catalogue.items)
    _write_table(folder / "users.parquet", "user_id", catalogue.user_ids, catalogue.users)
    lists = catalogue.histories
    offsets = pa.array(lists.indptr, pa.int64())
    named = {"item_num": pa.LargeListArray.from_arrays(offsets, pa.array(lists.item_num, pa.int32()))}
    for name, kind in ALIGNED.items():
        if (values := getattr(lists, name)) is not None:
            named[name] = pa.LargeListArray.from_arrays(offsets, pa.array(values, kind))
    pq.write_table(pa.table(named), folder / "histories.parquet", compression="zstd")
    arrays: dict[str, npt.NDArray[Any]] = {"counts": catalogue.counts.astype(np.int64)}
    if catalogue.candidates is not None:
        arrays["candidates"] = catalogue.candidates.astype(np.uint8)
    write_arrays(folder / "popularity.safetensors", arrays)


def _write_table(path: Path, name: str, ids: npt.NDArray[Any], columns: tuple[Column, ...]) -> None:
    arrays = [pa.array(ids.tolist(), pa.string())]
    fields = [pa.field(name, pa.string())]
    for column in columns:
        arrays.append(_to_arrow(column))
        fields.append(pa.field(column.name, arrays[-1].type, metadata={"role": column.role}))
    pq.write_table(pa.table(arrays, schema=pa.schema(fields)), path, compression="zstd")


def _to_arrow(column: Column) -> pa.Array:
    values = column.values
    if column.role == "vector":
        return pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1), pa.float32()), values.shape[1])
    if column.role in {"number", "time"}:
        return pa.array(values, pa.float64())
    if column.role == "categories":
        return pa.array([None if value is None else list(value) for value in values], pa.list_(pa.string()))
    if column.role in MEDIA:
        return pa.array([None if value is None else PurePath(value).name for value in values], pa.string())
    return pa.array(values.tolist(), pa.string())


def read_catalogue(folder: Path, manifest: Manifest) -> Catalogue:
    """Read what `write_catalogue` wrote, checked against the sizes that the manifest states.

    Raises:
        ArtifactError: a file cannot be read, or its sizes, types or numbers contradict the rest.
    """
    item_ids, items = _read_table(folder / "items.parquet", manifest.items)
    user_ids, users = _read_table(folder / "users.parquet", manifest.users)
    histories = _read_histories(folder / "histories.parquet", manifest)
    arrays = read_arrays(folder / "popularity.safetensors")
    counts, candidates = arrays.get("counts"), arrays.get("candidates")
    if counts is None or counts.shape != (manifest.items,) or counts.dtype != np.int64:
        raise ArtifactError(f"{folder / 'popularity.safetensors'}: no int64 counts of {manifest.items} items. {REMEDY}")
    if candidates is not None and (candidates.shape != counts.shape or not np.isin(candidates, (0, 1)).all()):
        raise ArtifactError(
            f"{folder / 'popularity.safetensors'}: candidates that are no 0 or 1 of each item. {REMEDY}"
        )
    chosen = None if candidates is None else candidates.astype(np.bool_)
    return Catalogue(item_ids, user_ids, items, users, histories, counts, manifest.ordered, chosen)


def _open(path: Path, rows: int) -> pa.Table:
    """The table of a Parquet file, once its metadata promise `rows` rows and no absurd expansion."""
    try:
        with pq.ParquetFile(path) as source:
            _check_promises(path, source.metadata, rows)
            return source.read()
    except (pa.ArrowException, OSError, ValueError) as error:
        raise ArtifactError(f"{path}: no readable Parquet file ({error}). {REMEDY}") from error


def _check_promises(path: Path, metadata: Any, rows: int) -> None:
    promised = sum(metadata.row_group(number).total_byte_size for number in range(metadata.num_row_groups))
    if metadata.num_rows != rows:
        raise ArtifactError(f"{path}: {metadata.num_rows} rows, the manifest says {rows}. {REMEDY}")
    if promised > SMALL + LARGEST_EXPANSION * path.stat().st_size:
        raise ArtifactError(f"{path}: would take {promised:,} bytes of memory, which its size belies. {REMEDY}")


def _read_table(path: Path, rows: int) -> tuple[npt.NDArray[Any], tuple[Column, ...]]:
    table = _open(path, rows)
    try:
        ids = np.array(table.column(0).cast(pa.string()).to_pylist(), dtype=object)
        columns = tuple(_column(table, place) for place in range(1, table.num_columns))
    except (pa.ArrowException, ValueError, TypeError, IndexError) as error:
        raise ArtifactError(f"{path}: not the columns that an artifact has ({error}). {REMEDY}") from error
    if None in set(ids) or len(set(ids)) != rows:
        raise ArtifactError(f"{path}: an identifier is missing or stands twice. {REMEDY}")
    return ids, columns


def _column(table: pa.Table, place: int) -> Column:
    field, array = table.schema.field(place), table.column(place).combine_chunks()
    role = _role(field)
    values: npt.NDArray[Any]
    if role == "vector":
        values = _numbers(array.flatten(), pa.float32()).reshape(len(array), array.type.list_size)
    elif role in {"number", "time"}:
        values = _numbers(array, pa.float64())
    else:
        values = np.empty(len(array), dtype=object)
        for row, value in enumerate(array.to_pylist()):
            values[row] = tuple(value) if isinstance(value, list) else value
    return Column(field.name, role, values)


def _role(field: pa.Field) -> Any:
    role = (field.metadata or {}).get(b"role", b"").decode()
    if role not in get_args(Role):
        raise ValueError(f"column {field.name!r} has the role {role!r}")
    return role


def _read_histories(path: Path, manifest: Manifest) -> Histories:
    table = _open(path, manifest.users)
    try:
        indptr, flat = _lists(table)
    except (pa.ArrowException, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ArtifactError(f"{path}: not the lists that an artifact has ({error}). {REMEDY}") from error
    item_num = flat.pop("item_num")
    known = (item_num >= 0) & (item_num < manifest.items)
    if len(item_num) != manifest.interactions or not known.all():
        raise ArtifactError(f"{path}: interactions or item numbers that contradict the manifest. {REMEDY}")
    return Histories(indptr, item_num, **flat)


def _lists(table: pa.Table) -> tuple[LongArray, dict[str, npt.NDArray[Any]]]:
    """Where each list begins, and the columns end to end."""
    lists = {name: table.column(name).combine_chunks() for name in table.column_names}
    if unknown := set(lists) - {"item_num", *ALIGNED}:
        raise ValueError(f"unknown column {min(unknown)!r}")
    indptr = _offsets(lists["item_num"])
    if any(not np.array_equal(_offsets(array), indptr) for array in lists.values()):
        raise ValueError("columns of different lengths")
    return indptr, {name: _numbers(array.flatten(), ALIGNED.get(name, pa.int32())) for name, array in lists.items()}


def _offsets(array: Any) -> LongArray:
    if array.null_count:
        raise ValueError("a list is missing")
    lengths = _numbers(array.value_lengths(), pa.int64())
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


def _numbers(array: Any, kind: Any) -> npt.NDArray[Any]:
    """An Arrow array of numbers as numpy's, straight from its memory: `to_numpy` would import pandas."""
    if array.null_count:
        raise ValueError("a value is missing")
    plain = array.cast(kind)
    dtype = np.dtype(f"{'f' if pa.types.is_floating(kind) else 'i'}{kind.byte_width}")
    start = plain.offset * dtype.itemsize
    return np.frombuffer(plain.buffers()[1] or b"", dtype, len(plain), start)
