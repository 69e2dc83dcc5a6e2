"""What speaks against an update, and what known users are asked for."""

import numpy as np
import pytest

from recsmith.contracts.artifact import Compared
from recsmith.contracts.data import Requests
from recsmith.testing.logs import histories_of, holdout_of, popular_fold, ratings_fold
from recsmith.updates.growth import Renumbering
from recsmith.updates.judgement import Bench, Judgement, compare_on, forgetting, old_requests
from recsmith.wiring.plugins import load_plugins

SAME = Compared(requests=50, before=0.2, after=0.2, gain=0.0, low=-0.01, high=0.01)


def found(new=SAME, old=SAME):
    return Judgement("ndcg@10", {}, {"all": new}, old)


def test_nothing_speaks_against_an_update_that_is_as_good():
    assert found().refusal(0.0) is None


def test_worse_on_new_rows_is_refused_where_the_whole_interval_is_below_zero():
    worse = Compared(requests=50, before=0.2, after=0.1, gain=-0.1, low=-0.15, high=-0.01)
    assert found(new=worse).refusal(0.02) == (
        "it is worse on new rows: ndcg@10 0.1000 instead of 0.2000 on 50 requests (gain -0.1000, -0.1500 to -0.0100)"
    )
    assert found(new=worse.model_copy(update={"high": 0.001})).refusal(0.02) is None


def test_forgetting_is_refused_beyond_the_bound():
    lost = Compared(requests=50, before=0.2, after=0.17, gain=-0.03, low=-0.1, high=0.1)
    assert found(old=lost).refusal(0.03) is None
    assert "on 50 known users' old rows ndcg@10 goes from 0.2000 to 0.1700 (-0.0300), and it may lose 0.02" in str(
        found(old=lost).refusal(0.02)
    )


def test_known_users_are_asked_for_the_last_of_their_old_rows():
    old = histories_of([[0, 1, 2], [1], [2, 0]])
    numbers = Renumbering(np.array([4, 0, 2]), np.array([3, 1, 0]), 5, 4)
    asked = old_requests(old, numbers, ordered=True, seed=0)
    assert asked.requests.user_num.tolist() == [4, 2]  # the second has one interaction only
    assert [asked.requests.histories.of(row).tolist() for row in range(2)] == [[3, 1], [0]]
    assert asked.target_item.tolist() == [0, 3]


def test_without_an_order_they_are_asked_for_any():
    old = histories_of([list(range(20))] * 30)
    numbers = Renumbering(np.arange(30), np.arange(20), 30, 20)
    asked = old_requests(old, numbers, ordered=False, seed=0)
    assert len(set(asked.target_item.tolist())) > 5
    for row in range(30):
        assert sorted([*asked.requests.histories.of(row), asked.target_item[row]]) == list(range(20))


class Favours:
    """Scores one number of an item high, or predicts one rating."""

    def __init__(self, score):
        self.score = score

    def scores(self, requests):
        return np.tile(self.score, (len(requests), 1)).astype(np.float32)


@pytest.fixture(scope="module")
def registry():
    return load_plugins().registry


def test_gains_are_told_apart_for_known_and_new_users(registry):
    """Both rank one item first; the later one that which the new users take next, the earlier one the known users'."""
    fold = popular_fold(users=20, items=30, length=3)
    known = np.arange(20) < 12
    targets = [[28] if each else [29] for each in known]
    requests = Requests(np.arange(20, dtype=np.int32), histories_of([[0, 1]] * 20))
    fold = type(fold)(fold.train, holdout_of(requests, targets), fold.user_ids, fold.item_ids)
    before, after = Favours(np.arange(30) == 28), Favours(np.arange(30) == 29)
    bench = Bench("ndcg@1", ("hit_rate@1",), "next_item", mask_seen=True, registry=registry, seed=0)
    figures, judged = compare_on(before, after, fold, known, bench)
    assert {name: each.gain for name, each in judged.items()} == {"all": -0.2, "known": -1.0, "new": 1.0}
    assert figures["hit_rate@1"].value == 0.4
    lost = forgetting(before, after, fold, fold.holdout, bench)
    assert (lost.before, lost.after) == (0.6, 0.4)


def test_of_errors_the_smaller_is_the_gain(registry):
    fold = ratings_fold()
    mean = float(fold.train.histories.value.mean())
    bench = Bench("mae", (), "rating", mask_seen=True, registry=registry, seed=0)
    before, after = Favours(np.full(50, mean + 1)), Favours(np.full(50, mean))
    result = compare_on(before, after, fold, np.ones(200, bool), bench)[1]["all"]
    assert result.after < result.before
    assert result.gain == pytest.approx(result.before - result.after)
    assert result.low > 0
