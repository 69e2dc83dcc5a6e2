"""From a plan's source to a `Dataset`: read, guess, check, code, sort, filter."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from recsmith.contracts.config import Choice
from recsmith.contracts.data import MEDIA, Column
from recsmith.contracts.errors import DataError, PlanError
from recsmith.contracts.plugins import RawTables
from recsmith.data.coded import Dataset, fingerprint, spread
from recsmith.data.names import IGNORED, SET_APART, Assigned, assign, key_column
from recsmith.data.roles import columns_of, infer, shaped
from recsmith.data.values import Place, complete_numbers, identifiers, labels, missing, moments

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy.typing as npt
    import pandas as pd

    from recsmith.contracts.data import BoolArray, FloatArray, IntArray, Role
    from recsmith.contracts.plan import DataPlan, Filter
    from recsmith.contracts.plugins import ReaderSpec
    from recsmith.data.values import Moments, ObjectArray
    from recsmith.wiring.registry import Registry

__all__ = ["Dataset", "load_dataset"]

FROM_PYTHON = "<dataframe>"
NAMED = 5  # lost files that a note names


def load_dataset(plan: DataPlan, registry: Registry, frame: pd.DataFrame | RawTables | None = None) -> Dataset:
    """Read, check and code the log that `plan` names, or the tables handed over.

    Raises:
        DataError: the source cannot be used; the message names file and place.
        PlanError: the plan asks for what the log cannot give.
    """
    raw, reader = read_tables(plan, registry, frame)
    return assemble(raw, plan, reader)


def read_tables(
    plan: DataPlan, registry: Registry, frame: pd.DataFrame | RawTables | None = None
) -> tuple[RawTables, str]:
    """The bare tables that `plan` names, and the reader that knew them.

    Raises:
        DataError: no reader knows the source, or it cannot be read.
    """
    if isinstance(frame, RawTables):
        return frame, "tables"
    if frame is None and plan.source == FROM_PYTHON:
        raise DataError(f"{FROM_PYTHON}: the plan wants a table from Python, but none was handed over.")
    source = plan.source if frame is None else frame
    name = plan.reader if frame is None and plan.reader else _reader_of(source, registry)
    reader = registry.build("readers", Choice(name=name), registry.context())
    return reader.read(source), name


def _reader_of(source: object, registry: Registry) -> str:
    names = [name for name in registry.specs["readers"] if _matches(registry.spec("readers", name), source)]
    if len(names) == 1:
        return names[0]
    if names:
        raise DataError(f"{source}: the readers {' and '.join(names)} both read this. Say which: `data.reader`.")
    if isinstance(source, (str, Path)) and not _exists(Path(source)):
        raise DataError(f"{source}: there is no such file or folder. Check the path.")
    known = ", ".join(registry.specs["readers"]) or "none"
    raise DataError(
        f"{source}: no reader knows this kind of source. Give a .csv, .tsv, .parquet or .inter file (or .gz), or a "
        f"folder, or say which reader it is (`data.reader`; installed: {known})."
    )


def _matches(spec: ReaderSpec, source: object) -> bool:
    """Whether a reader says that a source is its own; one that fails to say so is not the one."""
    try:
        return bool(spec.matches(source))
    except (Exception, SystemExit):  # noqa: BLE001 - a broken reader must not stand in the way of the others
        return False


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # no file can have such a name
        return False


def assemble(raw: RawTables, plan: DataPlan, reader: str, *, whole: bool = True) -> Dataset:
    """Code and check raw tables; those of a log that is not whole, but goes on with another, may be of one user."""
    origin = raw.origin.get("interactions", "interactions")
    frame = _with_values(raw.interactions)
    if not len(raw.interactions):
        raise DataError(f"{origin}: the table has no row.")
    names = assign(list(map(str, frame.columns)), plan.columns, origin)
    users = _Table.of(raw, "users", names.user, plan.columns.users)
    items = _Table.of(raw, "items", names.item, plan.columns.items)
    user, user_ids = _coded(frame[names.user], Place(origin, names.user), users)
    item, item_ids = _coded(frame[names.item], Place(origin, names.item), items)
    if whole:
        _refuse_tiny(user, item, origin)
    stamps = None
    if names.timestamp is not None and plan.order != "none":
        stamps = moments(frame[names.timestamp], Place(origin, names.timestamp))
    if plan.order == "time" and stamps is None:
        raise PlanError(f"{origin}: `order: time` needs a timestamp column. Name it: `data.columns.timestamp`.")
    value = None if names.value is None else complete_numbers(frame[names.value], Place(origin, names.value))
    weight, event_notes = _weights(frame, names, plan.columns.event_weights, origin)
    split, split_fault = _labels(frame, names, origin)
    spare = [name for name in map(str, frame.columns) if name not in (*names.named.values(), SET_APART)]
    dataset = Dataset(
        user=user,
        item=item,
        user_ids=user_ids,
        item_ids=item_ids,
        ordered=plan.order == "rows" or stamps is not None,
        timestamp=None if stamps is None else stamps.seconds,
        value=value,
        weight=weight,
        split=split,
        split_fault=split_fault,
        context=_context(frame, plan.columns.context, origin, raw.base),
        items=() if items is None else items.aligned(item_ids),
        users=() if users is None else users.aligned(user_ids),
        in_table=None if items is None else items.among(item_ids),
        domain=_domains(frame, names, plan.columns.domain, item, item_ids, items) if whole else None,
        source=plan.source,
        reader=reader,
        columns=names.named,
        left_aside={name: infer(name, frame[name], raw.base) for name in spare if name not in plan.columns.context},
        notes=(
            *names.notes,
            *event_notes,
            *(_table_notes(items, item, item_ids, raw.origin) if whole else ()),
            *(note for table in (items, users) if table is not None for note in table.lost()),
        ),
    )
    return _finished(dataset, stamps, plan, origin)


def _finished(dataset: Dataset, stamps: Moments | None, plan: DataPlan, origin: str) -> Dataset:
    if stamps is not None and plan.order != "rows":
        dataset = dataset.take(np.argsort(stamps.key, kind="stable"))
    whole = fingerprint(dataset)
    dataset = filtered(dataset, plan.filter, origin)
    notes = [stamps.note] if stamps is not None and stamps.note else []
    if not dataset.ordered:
        notes.append("there is no order of time: hold-outs are random, models of order are left out.")
    return replace(dataset, notes=(*dataset.notes, *notes), fingerprint=whole)


def _with_values(frame: pd.DataFrame) -> pd.DataFrame:
    """The columns that hold any value; the others count as absent."""
    return frame.loc[:, frame.notna().any()]


def _refuse_tiny(user: IntArray, item: IntArray, origin: str) -> None:
    for what, codes in (("user", user), ("item", item)):
        if codes.min() == codes.max():
            raise DataError(f"{origin}: there is one {what} only, so there is nothing to learn. Is the column right?")


@dataclass(frozen=True, eq=False)
class _Table:
    """An item or user table: its ids, and its columns row by row."""

    ids: ObjectArray  # [R] in sorted order
    columns: tuple[Column, ...]  # [R] each, in that order
    origin: str

    @classmethod
    def of(cls, raw: RawTables, name: str, log_column: str, roles: Mapping[str, Role]) -> _Table | None:
        table: pd.DataFrame | None = getattr(raw, name)
        origin = raw.origin.get(name, name)
        if table is None:
            if roles:
                raise PlanError(f"the plan gives roles to columns of {name}, but the source has no {name} table.")
            return None
        role = name.removesuffix("s")
        table = table.rename(columns=str)
        key = key_column(list(table.columns), role, log_column, origin)
        codes, ids = identifiers(table[key], Place(origin, key))
        order = np.argsort(codes, kind="stable")
        twins = np.flatnonzero(np.diff(codes[order]) == 0)
        if len(twins):
            first, second = order[twins[0]] + 1, order[twins[0] + 1] + 1
            raise DataError(
                f"{origin}: column {key!r}, rows {first} and {second}: the {role} {ids[codes[order[twins[0]]]]!r} is "
                "there twice. Keep one row for each."
            )
        columns = columns_of(table.drop(columns=key), roles, origin, raw.base)
        return cls(ids, tuple(column.take(order) for column in columns), origin)

    def lost(self) -> Iterator[str]:
        """A note for each column of media of which some files are not there."""
        for column in self.columns:
            named = [path for path in column.values if path is not None] if column.role in MEDIA else []  # noqa: PD011
            lost = [path for path in named if not Path(path).is_file()]
            if lost:
                first = ", ".join(Path(path).name for path in lost[:NAMED])
                count = f"{len(lost)} of {len(named)} files are not there and count as missing"
                yield f"{self.origin}: column {column.name!r}: {count} ({first}{', …' if len(lost) > NAMED else ''})."

    def among(self, ids: ObjectArray) -> BoolArray:
        """Which of `ids` (sorted, a superset) the table has."""
        there = np.zeros(len(ids), bool)
        there[np.searchsorted(ids, self.ids)] = True
        return there

    def aligned(self, ids: ObjectArray) -> tuple[Column, ...]:
        """The columns for all of `ids`; ids that the table lacks have missing values."""
        rows = np.searchsorted(ids, self.ids)
        return tuple(replace(column, values=spread(column, rows, len(ids))) for column in self.columns)


def _coded(series: pd.Series[Any], place: Place, table: _Table | None) -> tuple[IntArray, ObjectArray]:
    codes, ids = identifiers(series, place)
    if table is None:
        return codes, ids
    every = np.union1d(ids, table.ids)
    return np.searchsorted(every, ids).astype(np.int32)[codes], every


def _table_notes(
    table: _Table | None, item: IntArray, item_ids: ObjectArray, origin: Mapping[str, str]
) -> tuple[str, ...]:
    if table is None:
        return ()
    occurring = np.unique(item)
    lacking = 1 - float(table.among(item_ids)[occurring].mean())
    if lacking == 1:
        raise DataError(
            f"{table.origin}: no item of {origin.get('interactions', 'the log')} is in this table (it has "
            f"{table.ids[0]!r}, the log has {item_ids[occurring[0]]!r}). Write the ids alike in both."
        )
    return (f"{lacking:.2%} of the items in the log are missing from {table.origin}.",) if lacking else ()


def _weights(
    frame: pd.DataFrame, names: Assigned, weights: Mapping[str, float], origin: str
) -> tuple[FloatArray | None, tuple[str, ...]]:
    if names.event is None:
        if weights:
            raise PlanError(
                f"{origin}: the plan weighs events, but there is no event column. Name it: `data.columns.event`."
            )
        return None, ()
    events = frame[names.event].astype(object)
    place = Place(origin, names.event)
    if missing(events).any():
        raise place.fault(int(np.argmax(missing(events))), "the event type is missing.")
    kinds = sorted(map(str, events.unique()))
    if not weights:
        return None, (
            f"every event counts alike ({', '.join(kinds[:8])}): set `data.columns.event_weights` to weigh them.",
        )
    place.first(
        np.asarray(~events.astype(str).isin(list(weights))), events, "has no weight in `data.columns.event_weights`."
    )
    return events.astype(str).map(weights).to_numpy(np.float32), ()


def _labels(frame: pd.DataFrame, names: Assigned, origin: str) -> tuple[npt.NDArray[np.int8] | None, str]:
    """The split that the log carries, or why it cannot be used: only a splitter that needs it may stumble over it."""
    if SET_APART not in frame.columns or SET_APART in names.named.values():
        return None, ""
    try:
        return labels(frame[SET_APART], Place(origin, SET_APART)), ""
    except DataError as error:
        return None, str(error)


def _domains(
    frame: pd.DataFrame, names: Assigned, stated: str | None, item: IntArray, ids: ObjectArray, items: _Table | None
) -> ObjectArray | None:
    """The domain of every item, [I] of str: in the log that of its first interaction, else its cell in the item table.

    None where the column that was guessed names one domain only.

    Raises:
        DataError: the plan names a column that neither has, or that names one domain only.
    """
    found = np.full(len(ids), "", object)
    name = names.domain or stated
    if names.domain is not None:
        series = frame[names.domain]
        there = np.flatnonzero(~missing(series))[::-1]  # so that the first one stays
        codes, domains = identifiers(series.iloc[there], Place(names.origin, names.domain))
        found[item[there]] = domains[codes]
    elif stated is not None and stated.lower() != IGNORED:
        columns = {} if items is None else {column.name: column for column in items.aligned(ids)}
        if stated not in columns or columns[stated].role != "category":
            raise DataError(
                f"{names.origin}: neither the log nor the item table has a column {stated!r} of categories, which "
                "`data.columns.domain` names. In the item table give it the role: `data.columns.items`."
            )
        found[:] = ["" if cell is None else cell for cell in columns[stated].values.tolist()]  # noqa: PD011 - ours
    if len(set(found.tolist()) - {""}) > 1:
        return found
    if stated is not None and stated.lower() != IGNORED:
        raise DataError(f"{names.origin}: the column {name!r} names fewer than two domains, and it takes two.")
    return None


def _context(frame: pd.DataFrame, roles: Mapping[str, Role], origin: str, base: Path | None) -> tuple[Column, ...]:
    for name in roles:
        if name not in frame.columns:
            raise DataError(
                f"{origin}: the plan names the context column {name!r}, which is not there or holds no value."
            )
    return tuple(
        Column(name, role, shaped(frame[name], role, Place(origin, name), base)) for name, role in roles.items()
    )


def filtered(dataset: Dataset, rule: Filter, origin: str) -> Dataset:
    """Leave out low values, then users and items of few interactions, until nothing more falls.

    Raises:
        DataError: nothing is left, or there are no values to compare.
    """
    keep: BoolArray = np.ones(len(dataset), bool)
    if rule.min_value is not None:
        if dataset.value is None:
            raise DataError(f"{origin}: `filter.min_value` needs ratings. Name their column: `data.columns.value`.")
        keep = dataset.value >= rule.min_value
    before = -1
    while before != keep.sum():
        before = int(keep.sum())
        users = np.bincount(dataset.user[keep], minlength=len(dataset.user_ids))
        keep &= users[dataset.user] >= rule.min_user_interactions
        items = np.bincount(dataset.item[keep], minlength=len(dataset.item_ids))
        keep &= items[dataset.item] >= rule.min_item_interactions
    if not before:
        raise DataError(f"{origin}: the filter leaves none of {len(keep)} interactions. Lower `data.filter`.")
    return dataset if keep.all() else dataset.take(keep)
