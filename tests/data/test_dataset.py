"""A loaded log: ids as written, columns guessed, moments in seconds, rows sorted stably, roles inferred."""
# ruff: noqa: PD011 - Column.values is ours, not pandas'

import numpy as np
import pandas as pd
import pytest

from recsmith.contracts.plan import DataPlan
from recsmith.contracts.plugins import RawTables
from recsmith.data.dataset import load_dataset


def column(dataset, name, table="items"):
    return next(column for column in getattr(dataset, table) if column.name == name)


def items_table(load, **columns):
    count = len(next(iter(columns.values())))
    log = pd.DataFrame({"user": ["a", "b", "a"], "item": ["0", "1", "1"]})
    return load(RawTables(log, items=pd.DataFrame({"item": [str(n) for n in range(count)], **columns})))


def test_ids_stay_as_written(tmp_path, registry):
    path = tmp_path / "log.csv"
    path.write_text("\ufeffuser_id,item_id\n007,12.0\n7,NA\n 7,1e3\n", encoding="utf-8")
    dataset = load_dataset(DataPlan(source=str(path)), registry)
    assert dataset.user_ids.tolist() == [" 7", "007", "7"]
    assert dataset.item_ids.tolist() == ["12.0", "1e3", "NA"]


def test_whole_float_ids_of_a_table_from_python_become_whole_numbers(load):
    dataset = load(pd.DataFrame({"user": [1.0, 2.0], "item": [10, 9]}))
    assert dataset.user_ids.tolist() == ["1", "2"]
    assert dataset.item_ids.tolist() == ["10", "9"]  # by code point


def test_codes_follow_the_sorted_ids_whatever_the_row_order(load, frame):
    one, two = load(frame), load(frame.sample(frac=1, random_state=3))
    assert one.user_ids.tolist() == sorted(set(frame["user_id"]))
    assert np.array_equal(one.user, two.user)
    assert np.array_equal(one.item, two.item)
    assert one.fingerprint == two.fingerprint
    assert one.fingerprint != load(frame.assign(rating=frame["rating"] + 1)).fingerprint


@pytest.mark.parametrize(
    ("names", "roles"),
    [
        (("reviewerID", "asin", "unixReviewTime", "overall"), ("user", "item", "timestamp", "value")),
        (("User-Id", "MovieID", "ts", "Score"), ("user", "item", "timestamp", "value")),
        (("uid", "track_id", "date", "plays"), ("user", "item", "timestamp", "value")),
    ],
)
def test_common_spellings_are_guessed(load, names, roles):
    dataset = load(pd.DataFrame(dict(zip(names, ([1, 2], [3, 4], [5, 6], [7, 8]), strict=True))))
    assert dataset.columns == dict(zip(roles, names, strict=True))
    assert sum("guessed" in note for note in dataset.notes) == 4


def test_the_plan_names_columns_and_leaves_some_aside(load):
    frame = pd.DataFrame({"a": [1, 2], "b": [1, 2], "time": [3, 4], "rating": [5, 6]})
    dataset = load(frame, columns={"user": "b", "item": "a", "timestamp": "None", "value": "none"})
    assert dataset.columns == {"user": "b", "item": "a"}
    assert not dataset.ordered
    assert dataset.left_aside == {"time": "number", "rating": "number"}


def test_empty_columns_count_as_absent(load):
    dataset = load(pd.DataFrame({"user": [1, 2], "item": [1, 2], "rating": [None, None], "timestamp": [None, None]}))
    assert dataset.columns == {"user": "user", "item": "item"}
    assert dataset.capabilities == frozenset()


@pytest.mark.parametrize(
    ("stamps", "said"),
    [
        ([881250949, 881250950], None),
        ([881250949000, 881250950999], "milliseconds"),
        ([881250949000000, 881250950000001], "microseconds"),
        (["1997-12-04T15:55:49Z", "1997-12-04T16:55:50+01:00"], "dates"),
        (pd.to_datetime(["1997-12-04 15:55:49.0", "1997-12-04 15:55:50.5"]), "dates"),
    ],
)
def test_moments_become_unix_seconds(load, stamps, said):
    dataset = load(pd.DataFrame({"user": [1, 2], "item": [1, 2], "timestamp": stamps}))
    assert dataset.timestamp.tolist() == [881250949, 881250950]
    assert [said in note for note in dataset.notes if "timestamp'" in note and "guessed" not in note] == [True] * bool(
        said
    )


def test_dates_of_the_early_seventies_are_not_taken_for_milliseconds(load):
    dataset = load(pd.DataFrame({"user": [1, 2], "item": [1, 2], "date": ["1970-01-02", "1971-01-01"]}))
    assert dataset.timestamp.tolist() == [86400, 31536000]


def test_rows_are_sorted_by_time_and_ties_keep_their_order(load):
    frame = pd.DataFrame({"user": list("abab"), "item": list("wxyz"), "timestamp": [5, 5, 1, 5]})
    dataset = load(frame)
    assert dataset.item_ids[dataset.item].tolist() == ["y", "w", "x", "z"]


def test_fractions_of_a_second_decide_the_order(load):
    dataset = load(pd.DataFrame({"user": [1, 2, 3], "item": [1, 2, 3], "timestamp": [10.7, 10.2, 9.0]}))
    assert dataset.item_ids[dataset.item].tolist() == ["3", "2", "1"]
    assert dataset.timestamp.tolist() == [9, 10, 10]


@pytest.mark.parametrize(
    ("order", "items", "stamped"), [("rows", "wxy", True), ("none", "wxy", False), (None, "ywx", True)]
)
def test_the_order_is_that_of_the_plan(load, order, items, stamped):
    frame = pd.DataFrame({"user": list("aba"), "item": list("wxy"), "timestamp": [5, 6, 1]})
    dataset = load(frame, order=order)
    assert "".join(dataset.item_ids[dataset.item]) == items
    assert dataset.ordered == (order != "none")
    assert (dataset.timestamp is not None) == stamped


def test_event_weights_become_the_weights_of_interactions(load):
    frame = pd.DataFrame({"user": [1, 2, 1], "item": [1, 2, 2], "event": ["view", "buy", "view"]})
    assert load(frame).weight is None
    assert load(frame, columns={"event_weights": {"view": 1, "buy": 4.5}}).weight.tolist() == [1, 4.5, 1]


def test_a_column_split_of_the_log_is_not_used(load):
    dataset = load(pd.DataFrame({"user": [1, 2], "item": [1, 2], "split": ["train", "test"]}))
    assert dataset.left_aside == {}
    assert any("'split' is not used" in note for note in dataset.notes)


def test_context_columns_that_the_plan_names_travel_with_the_rows(load):
    frame = pd.DataFrame({"user": [1, 2], "item": [1, 2], "ts": [9, 8], "shop": ["x", "y"], "price": [1.5, 2.5]})
    dataset = load(frame, columns={"context": {"shop": "category"}})
    assert [(c.name, c.values.tolist()) for c in dataset.context] == [("shop", ["y", "x"])]
    assert dataset.left_aside == {"price": "number"}


def test_the_filter_is_repeated_until_nothing_more_falls(load):
    frame = pd.DataFrame({"user": list("aaabbbccd"), "item": list("xyzxyzxyw"), "rating": [5.0] * 8 + [1.0]})
    kept = load(frame, filter={"min_user_interactions": 3, "min_item_interactions": 2, "min_value": 2})
    assert sorted(set(kept.user_ids[kept.user])) == ["a", "b"]
    assert len(kept) == 6


def test_the_share_of_repeats_is_that_of_what_is_to_be_predicted(load):
    again = pd.DataFrame({"user": list("aaabbb"), "item": list("xyxuvw"), "ts": range(6)})
    assert load(again).repeat_share() == 0.5
    assert load(again.assign(item=list("xyzuvw"))).repeat_share() == 0


ROLES = {
    "text": ["a film about many things", "another one that is long", "third of its kind here", "the very last of four"],
    "number": ["1", "2.5", "", "-3"],
    "time": ["2020-01-01", "1950-06-01", "", "2021-01-01"],
    "categories": ["red|blue", "blue", "", "green|red"],
    "category": ["red", "blue", "red", "blue"],
    "vector": ["[0.1, 2, 3, 4]", "1 2 3 4.5", "", "0,0,0,1"],
    "id": ["http://a", "http://b", "http://c", ""],
}


@pytest.mark.parametrize("role", ROLES)
def test_roles_are_inferred_from_the_values(load, role):
    values = [value or None for value in ROLES[role]]
    assert column(items_table(load, thing=values), "thing").role == role


def test_columns_take_the_shape_of_their_role(load):
    table = items_table(load, **{role: [value or None for value in values] for role, values in ROLES.items()})
    assert column(table, "categories").values.tolist() == [("red", "blue"), ("blue",), None, ("green", "red")]
    assert np.array_equal(column(table, "number").values, [1, 2.5, np.nan, -3], equal_nan=True)
    assert column(table, "time").values.tolist()[:2] == [1577836800, -618105600]
    assert column(table, "vector").values.tolist()[2] == [0, 0, 0, 0]
    assert column(table, "vector").values.dtype == np.float32
    assert column(table, "id").values.tolist() == ["http://a", "http://b", "http://c", None]


def test_code_like_numbers_are_no_numbers(load):
    table = items_table(load, zip_code=["1", "1", "2", "2"], imdb_id=["5", "6", "7", "8"])
    assert (column(table, "zip_code").role, column(table, "imdb_id").role) == ("category", "id")


def test_media_files_are_found_beside_the_table(tmp_path, registry):
    (tmp_path / "interactions.csv").write_text("user,item\na,1\nb,2\n")
    (tmp_path / "items.csv").write_text("item,cover\n1,one.png\n2,\n")
    (tmp_path / "one.png").write_bytes(b"x")
    dataset = load_dataset(DataPlan(source=str(tmp_path)), registry)
    assert column(dataset, "cover").role == "image"
    assert column(dataset, "cover").values.tolist() == [str((tmp_path / "one.png").resolve()), None]


def test_tables_are_aligned_with_all_ids(load):
    log = pd.DataFrame({"user": ["a", "b"], "item": ["2", "9"]})
    dataset = load(RawTables(log, items=pd.DataFrame({"item": ["5", "2"], "price": [0.5, 0.2]})))
    assert dataset.item_ids.tolist() == ["2", "5", "9"]
    assert np.array_equal(column(dataset, "price").values, [0.2, 0.5, np.nan], equal_nan=True)
    assert dataset.in_table.tolist() == [True, True, False]
    assert any("50.00% of the items" in note for note in dataset.notes)


def test_movielens_100k_has_its_published_counts(real_logs, registry):
    dataset = load_dataset(DataPlan(source=str(real_logs / "ml-100k")), registry)
    assert (len(dataset), len(dataset.user_ids), len(dataset.item_ids)) == (100_000, 943, 1_682)
    assert {c.name: c.role for c in dataset.items} == {
        "title": "text",
        "release_date": "time",
        "imdb_url": "id",
        "genres": "categories",
    }
