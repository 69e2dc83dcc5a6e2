"""Splitters assign every interaction as their rule says, and the same seed assigns alike."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from recsmith.contracts.data import TEST, TEST_SUPPORT, TRAIN, UNUSED, VALID, VALID_SUPPORT, LogColumns
from recsmith.contracts.errors import PlanError
from recsmith_plugins.splitters.cold_item import ColdItem, ColdItemConfig
from recsmith_plugins.splitters.cold_user import ColdUser, ColdUserConfig
from recsmith_plugins.splitters.leave_last import LeaveLast, LeaveLastConfig
from recsmith_plugins.splitters.random_ratio import RandomRatio, RandomRatioConfig
from recsmith_plugins.splitters.time_cut import TimeCut, TimeCutConfig


def log(user, item=None, timestamp=None, *, ordered=True):
    user = np.array(user)
    stamps = np.arange(len(user)) if timestamp is None else np.array(timestamp)
    return LogColumns(user, np.arange(len(user)) if item is None else np.array(item), stamps, None, ordered=ordered)


def test_leave_last_takes_the_newest():
    assignment = LeaveLast(LeaveLastConfig()).split(log([0, 1, 0, 1, 0, 0]), seed=0)
    assert assignment.tolist() == [TRAIN, TRAIN, TRAIN, TRAIN, VALID, TEST]


def test_leave_last_takes_k_and_spares_users_who_would_keep_nothing():
    splitter = LeaveLast(LeaveLastConfig(test=2, valid=1))
    assert splitter.split(log([0, 0, 0, 0, 1, 1, 1]), seed=0).tolist() == [TRAIN, VALID, TEST, TEST, *[TRAIN] * 3]


def test_leave_last_without_an_order_draws_with_the_seed():
    unordered = log([0] * 50 + [1] * 50, ordered=False)
    splitter = LeaveLast(LeaveLastConfig())
    one, same, other = (splitter.split(unordered, seed) for seed in (1, 1, 2))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)
    for user in (0, 1):
        assert np.bincount(one[unordered.user == user], minlength=3).tolist() == [48, 1, 1]


def test_time_cut_keeps_a_moment_together_and_short_users_out():
    stamps = [1, 2, 3, 4, 5, 6, 7, 8, 8, 10]
    assignment = TimeCut(TimeCutConfig(test=0.2, valid=0.2)).split(log([0] * 9 + [1], timestamp=stamps), seed=0)
    assert assignment.tolist() == [TRAIN] * 6 + [VALID, TEST, TEST, UNUSED]


def test_time_cut_takes_moments():
    splitter = TimeCut(TimeCutConfig(valid_from=3, test_from=5))
    assert splitter.split(log([0] * 6), seed=0).tolist() == [TRAIN] * 3 + [VALID] * 2 + [TEST]


def test_random_ratio_is_eight_one_one_for_each_user():
    user = np.repeat([0, 1, 2], [100, 10, 2])
    assignment = RandomRatio(RandomRatioConfig()).split(log(user), seed=3)
    assert [np.bincount(assignment[user == u], minlength=3).tolist() for u in range(3)] == [
        [80, 10, 10],
        [8, 1, 1],
        [2, 0, 0],
    ]


def test_cold_users_give_their_first_k():
    user = np.tile(np.arange(20), 6)
    assignment = ColdUser(ColdUserConfig(support=2)).split(log(user), seed=0)
    kinds = {tuple(assignment[user == u].tolist()) for u in range(20)}
    assert kinds == {(TRAIN,) * 6, (VALID_SUPPORT,) * 2 + (VALID,) * 4, (TEST_SUPPORT,) * 2 + (TEST,) * 4}
    assert [int((assignment == kind).sum()) for kind in (VALID, TEST)] == [8, 8]


def test_the_latest_users_may_be_the_new_ones():
    user = np.concatenate([np.tile(np.arange(start, start + 5), 6) for start in (0, 5, 10, 15)])
    assignment = ColdUser(ColdUserConfig(support=2, test=0.25, valid=0.25, chosen="latest")).split(log(user), seed=0)
    kinds = [{TRAIN}, {TRAIN}, {VALID, VALID_SUPPORT}, {TEST, TEST_SUPPORT}]
    assert [set(assignment[user // 5 == group].tolist()) for group in range(4)] == kinds
    with pytest.raises(PlanError, match="chosen: latest needs an order"):
        ColdUser(ColdUserConfig(chosen="latest")).split(log(user, ordered=False), seed=0)


def test_cold_items_are_held_out_whole():
    user, item = np.repeat(np.arange(10), 20), np.tile(np.arange(20), 10)
    assignment = ColdItem(ColdItemConfig()).split(log(user, item), seed=0)
    kinds = [set(assignment[item == i].tolist()) for i in range(20)]
    assert sorted(map(sorted, kinds)) == [[TRAIN]] * 16 + [[VALID]] * 2 + [[TEST]] * 2


@pytest.mark.parametrize("config", [TimeCutConfig, RandomRatioConfig, ColdUserConfig, ColdItemConfig])
def test_shares_must_leave_something_to_train_on(config):
    with pytest.raises(ValidationError):
        config(test=0.5, valid=0.5)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 6), min_size=1, max_size=80), st.integers(0, 5), st.sampled_from([0.1, 0.3, 0.45]))
def test_judged_users_always_keep_training_rows(users, seed, share):
    _, user = np.unique(users, return_inverse=True)
    for ordered in (True, False):
        for splitter in (
            LeaveLast(LeaveLastConfig(test=2)),
            RandomRatio(RandomRatioConfig(test=share, valid=share)),
        ):
            assignment = splitter.split(log(user, ordered=ordered), seed)
            for number in range(user.max() + 1):
                own = assignment[user == number]
                held = (own != TRAIN).sum()
                assert held == 0 or ((own == TRAIN).any() and (own == VALID).any() and (own == TEST).any())
                assert held == 0 or len(own) >= 3
