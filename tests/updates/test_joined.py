"""Old histories and newer rows become one log."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from recsmith.artifacts.catalogue import catalogue_of
from recsmith.contracts.errors import DataError, PlanError
from recsmith.contracts.plan import Columns, Reading
from recsmith.contracts.plugins import RawTables
from recsmith.data.fold import numbered
from recsmith.data.reading import reading_of
from recsmith.updates.joined import join, read_newer

OLD = pd.DataFrame({"who": ["b", "a", "b"], "what": ["x", "x", "z"], "at": [10, 20, 30], "stars": [1.0, 2.0, 3.0]})
ITEMS = pd.DataFrame({"what": ["x", "z"], "kind": ["red", "blue"], "place": ["0.5 1 0 0", "1 0.5 0 0"]})
NAMED = {"user": "who", "item": "what", "timestamp": "at", "value": "stars"}


def tables(log, items=None):
    return RawTables(interactions=log, items=items, users=None, base=Path(), origin={"items": "items.csv"})


@pytest.fixture(scope="module")
def old(registry, read):
    """The catalogue of a small old log and how it was read."""
    dataset, plan = read(tables(OLD, ITEMS), columns=NAMED)
    return catalogue_of(numbered(dataset, np.ones(3, bool))), reading_of(dataset, plan)


@pytest.fixture(scope="module")
def newer(old, registry):
    def newer(log, items=None, **changes):
        return read_newer("new.csv", *old, registry, frame=tables(log, items), changes=changes)

    return newer


def rows(joined):
    data = joined.dataset
    return list(
        zip(data.user_ids[data.user], data.item_ids[data.item], data.timestamp, data.value, joined.new, strict=True)
    )


def test_rows_stand_in_time_and_new_ones_are_marked(old, newer):
    new = pd.DataFrame({"who": ["a0", "b"], "what": ["y", "x"], "at": [25, 40], "stars": [5.0, 4.0]})
    joined = join(old[0], newer(new))
    assert rows(joined) == [
        ("b", "x", 10, 1.0, False),
        ("a", "x", 20, 2.0, False),
        ("a0", "y", 25, 5.0, True),
        ("b", "z", 30, 3.0, False),
        ("b", "x", 40, 4.0, True),
    ]


def test_rows_that_were_learnt_already_are_left_out_and_told(old, newer):
    joined = join(old[0], newer(pd.concat([OLD, OLD.assign(at=OLD["at"] + 100)])))
    assert joined.new.sum() == 3
    assert joined.notes[-1] == "3 rows that the artifact has learnt from already are left out."
    with pytest.raises(DataError, match="has learnt from all 3 rows already"):
        join(old[0], newer(OLD))


def test_columns_of_new_items_come_from_the_new_table_and_old_ones_stay(old, newer):
    new = pd.DataFrame({"who": ["a", "b"], "what": ["y", "q"], "at": [50, 60], "stars": [1.0, 1.0]})
    items = pd.DataFrame({"what": ["y", "x"], "kind": ["green", "black"], "place": ["0.1 0.2 0.3 0.4", "9.5 9 9 9"]})
    data = join(old[0], newer(new, items)).dataset
    columns = {column.name: list(column.values) for column in data.items}
    assert data.item_ids.tolist() == ["q", "x", "y", "z"]
    assert columns["kind"] == [None, "red", "green", "blue"]
    assert np.allclose(columns["place"], [[0, 0, 0, 0], [0.5, 1, 0, 0], [0.1, 0.2, 0.3, 0.4], [1, 0.5, 0, 0]])


def test_vectors_of_another_width_are_refused(old, newer):
    new = pd.DataFrame({"who": ["a", "b"], "what": ["y", "x"], "at": [50, 60], "stars": [1.0, 1.0]})
    items = pd.DataFrame({"what": ["y"], "place": ["0.1 0.2 0.3 0.4 0.5"]})
    with pytest.raises(DataError, match="'place': vectors of 5 numbers, the artifact's have 4"):
        join(old[0], newer(new, items))


def test_a_new_log_may_be_of_one_user_and_one_item(old, newer):
    one = pd.DataFrame({"who": ["a"], "what": ["x"], "at": [50], "stars": [1.0]})
    assert join(old[0], newer(one)).new.tolist() == [False, False, False, True]


def test_a_column_that_the_artifact_has_must_be_there(newer):
    new = pd.DataFrame({"who": ["a"], "what": ["x"], "time": [50], "stars": [1.0]})
    with pytest.raises(DataError, match=r"no timestamp column 'at'"):
        newer(new)
    assert newer(new, **{"columns.timestamp": "time"}).timestamp.tolist() == [50]
    with pytest.raises(DataError, match="a timestamp for every interaction, this one has none"):
        newer(new, **{"columns.timestamp": "none"})


def test_a_setting_that_no_plan_has_is_refused(newer):
    with pytest.raises(PlanError, match=r"data\.columns\.usr: .*user, item, timestamp"):
        newer(OLD, **{"columns.usr": "who"})


def test_how_the_log_was_read_leaves_nothing_to_guess(old):
    assert old[1] == Reading(columns=Columns(**NAMED, event="none", domain="none"))


def test_without_moments_new_rows_stand_behind_the_old(registry, read):
    bare = OLD[["who", "what"]]
    dataset, plan = read(tables(bare), columns={"user": "who", "item": "what"}, order="rows")
    catalogue = catalogue_of(numbered(dataset, np.ones(3, bool)))
    new = read_newer("new.csv", catalogue, reading_of(dataset, plan), registry, frame=tables(bare[:1]))
    joined = join(catalogue, new, by_time=False)
    assert joined.new.tolist() == [False, False, False, True]
    assert joined.dataset.ordered
