"""Splits: right answers, a search fold that the test rows cannot touch, a seal, and one hash for all machines."""
# ruff: noqa: PD011 - Column.values is ours, not pandas'

import os
import pickle
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsmith.contracts.data import ABSENT, TEST, TRAIN, VALID, Fold
from recsmith.contracts.errors import StudyError
from recsmith.contracts.plan import DataPlan, Plan
from recsmith.contracts.plugins import RawTables
from recsmith.data.coded import Dataset
from recsmith.data.dataset import load_dataset
from recsmith.data.fold import numbered
from recsmith.data.split import make_split


def flat(fold: Fold) -> dict[str, object]:
    """Everything that a fold holds, as comparable bytes and values."""
    histories, holdout = fold.train.histories, fold.holdout
    arrays = {
        "indptr": histories.indptr,
        "item": histories.item_num,
        "time": histories.timestamp,
        "value": histories.value,
        "request": holdout.requests.user_num,
        "seen": holdout.requests.histories.item_num,
        "targets": holdout.target_indptr,
        "target": holdout.target_item,
        "target_value": holdout.target_value,
        **{f"column {column.name}": column.values for column in (*fold.items, *fold.users)},
    }
    plain = {name: None if array is None else array.tolist() for name, array in arrays.items()}
    ids = (fold.user_ids.tolist(), fold.item_ids.tolist())
    return {**plain, "ids": ids, "hash": fold.split_hash, "capabilities": fold.capabilities, "sizes": fold.train.items}


def opened(split):
    split.sealed.release("the search ended")
    return split.sealed.open()


def tiny(load):
    return load(
        pd.DataFrame(
            {
                "user": list("aaaabbbcc"),
                "item": ["10", "9", "x", "y", "9", "10", "x", "9", "z"],
                "ts": [1, 2, 3, 4, 1, 2, 3, 1, 2],
            }
        )
    )


def test_leave_last_has_its_known_answer(load, plan, registry):
    split = make_split(tiny(load), plan(), registry)
    search = split.search
    assert search.user_ids.tolist() == ["a", "b", "c"]  # c has two interactions: it trains ...
    assert search.item_ids.tolist() == ["10", "9", "z"]  # by code point, from the training rows alone
    assert [search.train.histories.of(user).tolist() for user in range(3)] == [[0, 1], [1], [1, 2]]
    assert search.holdout.requests.user_num.tolist() == [0, 1]  # ... but is not judged
    assert search.holdout.target_item.tolist() == [ABSENT, 0]  # x is outside the catalogue: a miss
    assert search.holdout.requests.histories_are_training

    test = opened(split)
    assert test.item_ids.tolist() == ["10", "9", "x", "z"]
    assert test.holdout.target_item.tolist() == [ABSENT, 2]
    everything = split.sealed.everything()
    assert len(everything.train.histories.item_num) == 9
    assert len(everything.holdout) == 0
    assert split.judged == {"valid": 2, "test": 2}


def test_equal_moments_keep_the_order_of_the_rows(load, plan, registry):
    frame = pd.DataFrame({"user": list("aaaabbbb"), "item": list("wxyzzyxw"), "ts": [7] * 8})
    fold = make_split(load(frame), plan(), registry).search
    assert [fold.item_ids[n] for n in fold.train.histories.of(0)] == ["w", "x"]
    assert [fold.item_ids[n] for n in fold.train.histories.of(1)] == ["z", "y"]


def test_without_timestamps_the_holdout_is_random_with_the_seed(load, plan, registry, frame):
    dataset = load(frame.drop(columns="timestamp"))
    one, same, other = (make_split(dataset, plan(seed=seed), registry) for seed in (1, 1, 2))
    assert one.hash == same.hash != other.hash
    assert not one.search.train.ordered
    assert "order" not in one.search.capabilities


def test_cold_users_bring_their_support_and_nothing_else(load, plan, registry, frame):
    dataset = load(frame)
    split = make_split(
        dataset, plan(scenario="cold_user", split={"name": "cold_user", "params": {"support": 2}}), registry
    )
    for fold in (split.search, opened(split)):
        requests = fold.holdout.requests
        assert set(requests.user_num.tolist()) == {ABSENT}
        assert requests.histories.lengths.max() <= 2
        assert not requests.histories_are_training
        assert (np.diff(fold.holdout.target_indptr) >= 1).all()
    assert split.search.train.users == 30 - 6
    assert split.sealed.open().train.users == 30 - 3


def test_cold_items_are_in_the_catalogue_through_the_item_table(plan, registry, frame):
    items = pd.DataFrame({"item_id": [f"i{n}" for n in range(14)], "price": np.arange(14.0)})
    dataset = load_dataset(DataPlan(source="x"), registry, RawTables(frame, items=items))
    split = make_split(dataset, plan(scenario="cold_item"), registry)
    later = set(opened(split).item_ids[np.unique(opened(split).holdout.target_item)])
    assert later
    assert set(split.search.item_ids) == {f"i{n}" for n in range(14)} - later  # in validation they do not exist yet
    assert len(opened(split).item_ids) == 14
    for fold in (split.search, opened(split)):
        assert fold.items[0].values.tolist() == [float(name[1:]) for name in fold.item_ids]
        targets = np.unique(fold.holdout.target_item)
        assert fold.train.counts[targets].tolist() == [0] * len(targets)


SCENARIOS = {
    "leave_last": {"split": {"name": "leave_last"}},
    "leave_last k": {"split": {"name": "leave_last", "params": {"test": 2}}},
    "time_cut": {"split": {"name": "time_cut", "params": {"test": 0.2, "valid": 0.2}}},
    "random_ratio": {"split": {"name": "random_ratio"}},
    "rating": {"scenario": "rating"},
    "cold_user": {"scenario": "cold_user", "split": {"name": "cold_user", "params": {"support": 2}}},
}


def assigned_rows(dataset, registry, settings):
    plan = Plan.model_validate({"data": {"source": "x"}, **settings})
    return make_split(dataset, plan, registry).sealed._assignment


@pytest.mark.parametrize("name", SCENARIOS)
@pytest.mark.parametrize("timed", [True, False])
def test_the_items_of_test_rows_cannot_touch_the_search_fold(load, registry, frame, name, timed):
    if not timed:
        frame = frame.drop(columns="timestamp")
        if name == "time_cut":
            pytest.skip("a time cut needs timestamps")
    study = Plan.model_validate({"data": {"source": "x"}, **SCENARIOS[name]})
    dataset = load(frame)
    assignment = assigned_rows(dataset, registry, SCENARIOS[name])
    in_frame = frame.sort_values("timestamp", kind="stable").index if timed else frame.index
    test_rows = in_frame[np.isin(assignment, (TEST, 4))]
    assert len(test_rows) > 0
    changed = frame.copy()
    changed.loc[test_rows, "item_id"] = [f"{'az'[row % 2]}-new-{row}" for row in range(len(test_rows))]
    changed.loc[test_rows, "rating"] = -1.0
    assert flat(make_split(load(changed), study, registry).search) == flat(make_split(dataset, study, registry).search)


def test_cold_test_rows_cannot_touch_the_numbering_of_the_search_fold(load, frame):
    dataset = load(frame)
    assignment = np.random.default_rng(0).choice([TRAIN, VALID, TEST], len(dataset), p=[0.6, 0.2, 0.2])
    without = dataset.take(assignment != TEST)
    kept = assignment[assignment != TEST]
    one = numbered(dataset, assignment == TRAIN, assignment == VALID)
    two = numbered(without, kept == TRAIN, kept == VALID)
    assert flat(one) == flat(two)


def test_the_seal_holds_until_the_search_has_ended(load, plan, registry, frame):
    split = make_split(load(frame), plan(), registry)
    for early in (split.sealed.open, split.sealed.everything):
        with pytest.raises(StudyError, match="sealed"):
            early()
    with pytest.raises(StudyError, match="never sent"):
        pickle.dumps(split)
    assert pickle.loads(pickle.dumps(split.search)).train.items == split.search.train.items  # noqa: S301
    assert len(opened(split).holdout) == split.judged["test"]


def test_the_hash_is_independent_of_row_order(load, plan, registry, frame):
    hashes = {make_split(load(frame.sample(frac=1, random_state=k)), plan(), registry).hash for k in range(4)}
    assert len(hashes) == 1
    assert make_split(load(frame), plan(split={"name": "random_ratio"}), registry).hash not in hashes


PROGRAM = """
import sys
import pandas as pd
from recsmith.contracts.plan import DataPlan, Plan
from recsmith.data.dataset import load_dataset
from recsmith.data.split import make_split
from recsmith.wiring.plugins import load_plugins
names = ["reader.table", "splitter.leave_last", "splitter.random_ratio"]
registry = load_plugins(only=names).registry
data = DataPlan(source=sys.argv[1])
for name in ("leave_last", "random_ratio"):
    plan = Plan.model_validate({"data": data, "split": {"name": name}})
    print(make_split(load_dataset(data, registry), plan, registry).hash)
"""


def test_two_processes_with_different_hash_seeds_agree(tmp_path, frame):
    path = tmp_path / "log.csv"
    frame.to_csv(path, index=False)
    outputs = set()
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, str(path)],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        )
        outputs.add(done.stdout)
    assert len(outputs) == 1
    assert len(outputs.pop().split()) == 2


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 7), st.integers(0, 3)), min_size=1, max_size=60), st.data())
def test_a_fold_holds_exactly_the_rows_it_was_given(rows, data):
    user, item, use = (np.array(column, np.int32) for column in zip(*rows, strict=True))
    ids = np.array([str(n) for n in range(10)], object)
    dataset = Dataset(user, item, ids[:6], ids[:8], ordered=True, timestamp=np.arange(len(user)))
    fold = numbered(dataset, use == 0, use == 1, (use == 2) if data.draw(st.booleans()) else None)
    trained = {
        (fold.user_ids[row], fold.item_ids[n], t)
        for row, n, t in zip(
            fold.train.histories.rows, fold.train.histories.item_num, fold.train.histories.timestamp, strict=True
        )
    }
    assert trained == {(ids[u], ids[i], t) for t, (u, i, a) in enumerate(rows) if a == 0}
    for row in range(fold.train.users):
        start, end = fold.train.histories.indptr[row : row + 2]
        assert (np.diff(fold.train.histories.timestamp[start:end]) > 0).all()
    assert fold.item_ids.tolist() == sorted(fold.item_ids)
    with_history = {u for u, _, a in rows if a == 0 or (a == 2 and not fold.holdout.requests.histories_are_training)}
    assert len(fold.holdout) == len({u for u, _, a in rows if a == 1 and u in with_history})


def test_movielens_100k_leaves_one_interaction_per_user(real_logs, registry):
    data = DataPlan(source=str(real_logs / "ml-100k"))
    split = make_split(load_dataset(data, registry), Plan(data=data), registry)
    assert len(split.search.holdout) == 943
    assert len(split.search.train.histories.item_num) == 100_000 - 2 * 943
