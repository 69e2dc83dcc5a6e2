"""The published split is the log's own: its labels, and a validation drawn from the training rows where it has none."""

from importlib.metadata import EntryPoint

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from recsmith.contracts.data import TEST, TRAIN, UNUSED, VALID, LogColumns
from recsmith.contracts.errors import DataError, PlanError
from recsmith.contracts.plan import DataPlan, Plan
from recsmith.data.dataset import load_dataset
from recsmith.data.split import make_split
from recsmith.testing.conformance import checks_of, run_check
from recsmith.wiring.plugins import installed, load_plugins
from recsmith_plugins.splitters.published import Published, PublishedConfig

NAME = "splitter.published"
KINDS = ("reader.", "splitter.")


@pytest.fixture(scope="module")
def plugins():
    points = [point for point in installed() if point.name.startswith(KINDS) and point.name != NAME]
    return load_plugins(points=[*points, EntryPoint(NAME, "recsmith_plugins.splitters.published", "recsmith")])


@pytest.fixture
def split(plugins):
    def split(frame, name="published", **settings):
        data = DataPlan(source="<dataframe>", **settings.pop("data", {}))
        plan = Plan(data=data, split={"name": name, "params": settings.pop("params", {})}, **settings)
        return make_split(load_dataset(data, plugins.registry, frame), plan, plugins.registry)

    return split


def log(user, labels):
    size = len(user)
    return LogColumns(np.array(user), np.arange(size), None, None, ordered=False, split=np.array(labels, np.int8))


def frame(rows):
    return pd.DataFrame(rows, columns=["user_id", "item_id", "split"])


def rows_of(fold):
    """The training rows and the targets of a fold, as pairs of outside ids."""
    train = zip(fold.user_ids[fold.train.histories.rows], fold.item_ids[fold.train.histories.item_num], strict=True)
    asked = np.repeat(fold.holdout.requests.user_num, np.diff(fold.holdout.target_indptr))
    targets = zip(fold.user_ids[asked], fold.holdout.target_item.tolist(), strict=True)
    named = [(user, fold.item_ids[item] if item >= 0 else None) for user, item in targets]
    return sorted(train), sorted(named, key=str)


LABELLED = [
    *(("a", "x", "train"), ("a", "y", " Training"), ("a", "z", "VALID"), ("a", "w", "test")),
    *(("b", "z", "Train"), ("b", "w", "TRAIN"), ("b", "x", "dev"), ("b", "y", "Testing"), ("b", "v", None)),
]


def test_the_labels_are_the_split_in_any_case_and_a_missing_one_is_unused(split):
    found = split(frame(LABELLED))
    assert rows_of(found.search) == (
        [("a", "x"), ("a", "y"), ("b", "w"), ("b", "z")],
        [("a", "z"), ("b", "x")],
    )
    found.sealed.release("")
    assert rows_of(found.sealed.open()) == (
        [("a", "x"), ("a", "y"), ("a", "z"), ("b", "w"), ("b", "x"), ("b", "z")],
        [("a", "w"), ("b", "y")],
    )


def test_labels_stay_with_their_rows_when_these_are_sorted_and_filtered(split):
    """One row is dropped by its rating, and the moments turn the order of the rows around."""
    table = frame([*LABELLED, ("a", "v", "test")])
    table["timestamp"] = 1_000_000_000 - np.arange(len(table))
    table["rating"] = [*[5.0] * len(LABELLED), 1.0]
    found = split(table, data={"filter": {"min_value": 2}})
    plain = split(frame(LABELLED))
    for one, other in ((found.search, plain.search), (_opened(found), _opened(plain))):
        assert rows_of(one) == rows_of(other)


def _opened(found):
    found.sealed.release("")
    return found.sealed.open()


def test_labels_that_name_a_validation_are_kept_whatever_the_seed_and_the_share():
    labels = [TRAIN] * 5 + [VALID, TEST, UNUSED] + [TRAIN] * 9
    published = log([0] * 8 + [1] * 9, labels)
    for seed, valid in ((0, 0.1), (1, 0.9)):
        assert Published(PublishedConfig(valid=valid)).split(published, seed).tolist() == labels


def test_without_a_validation_a_share_of_each_users_training_rows_is_drawn():
    """Rounded, at least one, never all; users 3 and 4 have too few training rows and only train."""
    trained, tested = [40, 14, 3, 2, 0], [3, 0, 5, 4, 2]
    user = np.concatenate([np.repeat(np.arange(5), trained), np.repeat(np.arange(5), tested)])
    labels = np.repeat([TRAIN, TEST], [sum(trained), sum(tested)])
    published = log(user, labels)
    one, same, other = (Published(PublishedConfig()).split(published, seed) for seed in (1, 1, 2))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)
    assert np.array_equal(one == TEST, labels == TEST)
    assert [int((one[user == u] == VALID).sum()) for u in range(5)] == [4, 1, 1, 0, 0]
    most = Published(PublishedConfig(valid=0.99)).split(published, 1)
    assert [int((most[user == u] == TRAIN).sum()) for u in range(5)] == [1, 1, 1, 2, 0]
    assert published.split.tolist() == labels.tolist()


def test_which_rows_are_drawn_depends_on_no_test_row(split):
    rng = np.random.default_rng(3)
    train = [(f"u{u}", f"i{i}", "train") for u in range(20) for i in rng.permutation(15)[:8]]
    test = [(f"u{u}", f"i{u % 15}", "test") for u in range(20)]
    whole, fewer, moved = frame(train + test), frame(train + test[:7]), frame(test + train)
    first, *others = (split(table, seed=5).search for table in (whole, fewer, moved))
    for other in others:
        assert rows_of(other) == rows_of(first)
        assert other.split_hash == first.split_hash
    assert rows_of(split(whole, seed=6).search) != rows_of(first)


def test_a_wrong_label_stops_only_whoever_asks_for_it(split, plugins):
    wrong = [*LABELLED[:3], ("a", "w", "tset"), *LABELLED[4:]]
    table = frame(wrong)
    table["timestamp"] = 1_000_000_000 - np.arange(len(table))  # the row told is that of the source
    with pytest.raises(DataError, match=r"^dataframe: column 'split', row 4: 'tset' is no label of a split \(train, "):
        split(table)
    assert split(table, name="leave_last").hash == split(table.drop(columns="split"), name="leave_last").hash
    plan = DataPlan(source="<dataframe>")
    with_labels, without = (
        load_dataset(plan, plugins.registry, source)
        for source in (frame(LABELLED), frame(LABELLED).drop(columns="split"))
    )
    assert with_labels.fingerprint == without.fingerprint
    assert with_labels.capabilities - without.capabilities == {"split"}


@pytest.mark.parametrize("cells", [[0, 1, 2], [["train"], ["test"], None], [True, False, True], [1.5, 2.5, np.nan]])
def test_labels_are_texts(split, cells):
    table = frame([("a", "x", ""), ("a", "y", ""), ("b", "x", "")])
    table["split"] = cells
    with pytest.raises(DataError, match=r"column 'split', row 1: .* is no label"):
        split(table)


def test_a_category_of_pandas_is_read(split):
    table = frame(LABELLED)
    table["split"] = table["split"].astype("category")
    assert split(table).hash == split(frame(LABELLED)).hash


@pytest.mark.parametrize("labels", [None, [None] * 9])
def test_a_log_without_labels_cannot_be_split_by_them(split, labels):
    table = frame(LABELLED).drop(columns="split")
    if labels:
        table["split"] = labels
    with pytest.raises(PlanError, match=r"split published: it needs a column `split` of labels, which .* lacks"):
        split(table)


def test_a_log_without_test_labels_is_refused(split):
    with pytest.raises(DataError, match="nobody can be judged on test"):
        split(frame([(user, item, "train") for user in "abc" for item in "vwxyz"]))


def test_the_share_leaves_something_on_either_side():
    for valid in (0.0, 1.0):
        with pytest.raises(ValidationError):
            PublishedConfig(valid=valid)


def test_it_keeps_every_promise_of_its_kind(plugins):
    outcomes = [run_check(plugins, "splitters", "published", check) for check in checks_of("splitters")]
    assert {outcome.check: outcome.detail for outcome in outcomes if outcome.state == "broken"} == {}
