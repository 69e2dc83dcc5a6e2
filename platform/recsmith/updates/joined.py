"""The log of an artifact and the rows that came after it, as one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import ValidationError

from recsmith.contracts.errors import DataError, PlanError
from recsmith.contracts.plan import Columns, DataPlan, Filter, Reading
from recsmith.data.coded import Dataset, fingerprint, spread
from recsmith.data.dataset import FROM_PYTHON, assemble, read_tables

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    import numpy.typing as npt
    import pandas as pd

    from recsmith.artifacts.catalogue import Catalogue
    from recsmith.contracts.data import BoolArray, Column, LongArray, Role
    from recsmith.contracts.plugins import RawTables
    from recsmith.wiring.registry import Registry

ALIGNED = ("timestamp", "value", "weight")  # of an interaction, where the artifact has them


@dataclass(frozen=True, eq=False)
class Joined:
    """Old and new interactions in one order: time, then old before new, then row."""

    dataset: Dataset
    new: BoolArray  # [N]
    notes: tuple[str, ...]  # sentences


def read_newer(
    source: Path | str,
    catalogue: Catalogue,
    reading: Reading | None,
    registry: Registry,
    *,
    changes: Mapping[str, Any] | None = None,
    frame: pd.DataFrame | RawTables | None = None,
) -> Dataset:
    """Read newer rows as the artifact's log was read; `changes` are keys of a plan's `data` that say otherwise.

    Item and user tables are optional; of their columns those count that the artifact has.

    Raises:
        DataError: the source cannot be used, or lacks a column that the artifact's log had.
        PlanError: `changes` name what no plan has.
    """
    plan = _plan(FROM_PYTHON if frame is not None else str(source), reading or Reading(), changes or {})
    raw, reader = read_tables(plan, registry, frame)
    tables = {name: _roles(getattr(raw, name), getattr(catalogue, name)) for name in ("items", "users")}
    plan = plan.model_copy(update={"columns": plan.columns.model_copy(update=tables)})
    newer = assemble(raw, plan, reader, whole=False)
    for name in ALIGNED:
        if getattr(catalogue.histories, name) is not None and getattr(newer, name) is None:
            which = "event" if name == "weight" else name
            raise DataError(
                f"{plan.source}: the artifact's log has a {name} for every interaction, this one has none. Name its "
                f"column: `data.columns.{which}`."
            )
    return newer


def _plan(source: str, reading: Reading, changes: Mapping[str, Any]) -> DataPlan:
    content: dict[str, Any] = {
        "source": source,
        "columns": reading.columns.model_dump(),
        "filter": Filter(min_value=reading.min_value).model_dump(),
        "order": reading.order,
    }
    for key, value in changes.items():
        place, *path = content, *key.split(".")
        for part in path[:-1]:
            place = place.setdefault(part, {})
        place[path[-1]] = value
    try:
        return DataPlan.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(("data", *map(str, first["loc"])))
        raise PlanError(f"{where}: {first['msg']}. Columns have the keys {', '.join(Columns.model_fields)}.") from error


def _roles(table: pd.DataFrame | None, known: tuple[Column, ...]) -> dict[str, Role]:
    """The roles of the columns that a new table shares with the artifact."""
    if table is None:
        return {}
    there = {str(name) for name in table.columns[table.notna().any()]}
    return {column.name: column.role for column in known if column.name in there}


def join(catalogue: Catalogue, newer: Dataset, *, by_time: bool = True) -> Joined:
    """Old histories and newer rows as one log; rows that the artifact has learnt from already are left out.

    Without moments, or not `by_time`, the newer rows stand behind the old ones.

    Raises:
        DataError: nothing newer is left, or a column of vectors has another width than the artifact's.
    """
    lists, ordered = catalogue.histories, catalogue.ordered
    user_ids, item_ids = (
        np.union1d(old, ids)
        for old, ids in ((catalogue.user_ids, newer.user_ids), (catalogue.item_ids, newer.item_ids))
    )
    user = [np.searchsorted(user_ids, catalogue.user_ids)[lists.rows], np.searchsorted(user_ids, newer.user_ids)]
    item = [np.searchsorted(item_ids, catalogue.item_ids)[lists.item_num], np.searchsorted(item_ids, newer.item_ids)]
    in_table = np.isin(item_ids, catalogue.item_ids)
    if newer.in_table is not None:
        in_table[item[1]] |= newer.in_table
    dataset = Dataset(
        user=np.concatenate([user[0], user[1][newer.user]]).astype(np.int32),
        item=np.concatenate([item[0], item[1][newer.item]]).astype(np.int32),
        user_ids=user_ids,
        item_ids=item_ids,
        ordered=ordered,
        timestamp=_after(lists.timestamp, newer.timestamp),
        value=_after(lists.value, newer.value),
        weight=_after(lists.weight, newer.weight),
        items=_tables(catalogue.items, catalogue.item_ids, newer.items, newer.item_ids, item_ids),
        users=_tables(catalogue.users, catalogue.user_ids, newer.users, newer.user_ids, user_ids),
        in_table=in_table,
        source=newer.source,
    )
    new = np.arange(len(dataset)) >= len(lists.item_num)
    twice = _known_already(dataset, new)
    if twice.sum() == new.sum():
        raise DataError(f"{newer.source}: the artifact has learnt from all {twice.sum():,} rows already.")
    order = np.flatnonzero(~twice)
    if dataset.timestamp is not None and by_time:
        order = order[np.argsort(dataset.timestamp[order], kind="stable")]
    dataset = dataset.take(order)
    notes = (f"{twice.sum():,} rows that the artifact has learnt from already are left out.",) if twice.any() else ()
    named = replace(dataset, fingerprint=fingerprint(dataset))
    return Joined(named, new[order], (*newer.notes, *notes))


def _after(old: npt.NDArray[Any] | None, new: npt.NDArray[Any] | None) -> npt.NDArray[Any] | None:
    return None if old is None or new is None else np.concatenate([old, new.astype(old.dtype)])


def _known_already(dataset: Dataset, new: BoolArray) -> BoolArray:
    """The new rows that an old one equals in user, item and moment, [N]; none where there are no moments."""
    if dataset.timestamp is None:
        return np.zeros(len(dataset), np.bool_)
    pair = dataset.user.astype(np.int64) * len(dataset.item_ids) + dataset.item
    again = np.isin(pair, np.intersect1d(pair[new], pair[~new]))  # few, so that the rest is quick
    moments = {key for key, is_new in zip(_keys(pair, dataset, again), new[again], strict=True) if not is_new}
    known = again & new
    known[known] = [key in moments for key in _keys(pair, dataset, known)]
    return known


def _keys(pair: LongArray, dataset: Dataset, rows: BoolArray) -> Iterable[tuple[int, int]]:
    """User and item as one number, and the moment, of each of `rows`."""
    stamps = np.zeros(0) if dataset.timestamp is None else dataset.timestamp[rows]
    return zip(pair[rows].tolist(), stamps.tolist(), strict=True)


def _tables(
    old: tuple[Column, ...], old_ids: Any, new: tuple[Column, ...], new_ids: Any, ids: npt.NDArray[Any]
) -> tuple[Column, ...]:
    """The old columns over all `ids`: old values stay, those of new ids come from the new table where it has them."""
    given = {column.name: column for column in new}
    stays = np.isin(ids, old_ids)
    joined = []
    for column in old:
        values = spread(column, np.searchsorted(ids, old_ids), len(ids))
        if column.name in given:
            fresh = given[column.name].values  # noqa: PD011 - no table of pandas
            if fresh.shape[1:] != values.shape[1:]:
                raise DataError(
                    f"column {column.name!r}: vectors of {fresh.shape[1]} numbers, the artifact's have "
                    f"{values.shape[1]}. Make them by the same model."
                )
            place = np.searchsorted(ids, new_ids)
            mine = ~stays[place]
            values[place[mine]] = fresh[mine]
        joined.append(replace(column, values=values))
    return tuple(joined)
