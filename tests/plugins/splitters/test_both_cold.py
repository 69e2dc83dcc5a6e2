"""New users are asked for new items only, after their first interactions with old ones."""

import numpy as np
import pytest
from pydantic import ValidationError

from recsmith.contracts.data import TEST, TEST_SUPPORT, TRAIN, UNUSED, VALID, VALID_SUPPORT, LogColumns
from recsmith_plugins.splitters.both_cold import BothCold, BothColdConfig


def log(*, ordered=True):
    """Every one of 30 users takes each of 20 items once, in an order of her own."""
    rng = np.random.default_rng(0)
    item = np.concatenate([rng.permutation(20) for _ in range(30)])
    user = np.repeat(np.arange(30), 20)
    return LogColumns(user, item, np.arange(600) if ordered else None, None, ordered=ordered)


@pytest.mark.parametrize("ordered", [True, False])
def test_users_and_items_are_new_together(ordered):
    columns = log(ordered=ordered)
    found = BothCold(BothColdConfig(support=4)).split(columns, seed=1)
    for target, support in ((VALID, VALID_SUPPORT), (TEST, TEST_SUPPORT)):
        users = np.unique(columns.user[found == support])
        assert len(users) == 6
        assert set(columns.user[found == target]) <= set(users)
        assert np.bincount(columns.user[found == support])[users].tolist() == [4] * 6
        assert not set(users) & set(columns.user[found == TRAIN])
        items = set(columns.item[found == target])
        assert len(items) <= 4
        assert not items & set(columns.item[(found == TRAIN) | (found == support)])


def test_with_an_order_what_is_asked_for_comes_after_the_first_k_interactions_with_old_items():
    columns = log()
    found = BothCold(BothColdConfig(support=4)).split(columns, seed=1)
    for user in np.unique(columns.user[found == TEST]):
        labels = found[columns.user == user]
        known = np.flatnonzero(labels == TEST_SUPPORT)
        assert known.max() < np.flatnonzero(labels == TEST).min()
        assert set(labels[: known.max()]) <= {TEST_SUPPORT, UNUSED}


def test_what_old_users_did_with_new_items_is_unused():
    columns = log()
    found = BothCold(BothColdConfig()).split(columns, seed=1)
    new = np.unique(columns.item[(found == TEST) | (found == VALID)])
    old = np.unique(columns.user[found == TRAIN])
    rows = np.isin(columns.item, new) & np.isin(columns.user, old)
    assert rows.any()
    assert set(found[rows]) == {UNUSED}


def test_shares_must_leave_something_to_train_on():
    with pytest.raises(ValidationError, match="leave nothing to train on"):
        BothColdConfig(test=0.5, valid=0.5)
