"""The switch: who answers which history, who fills up, and what the scores say."""

from importlib.metadata import EntryPoint

import numpy as np
import pytest

from recsmith.contracts.config import Choice
from recsmith.contracts.data import ABSENT
from recsmith.contracts.errors import PlanError, PluginError
from recsmith.wiring.plugins import installed, load_plugins

NOTHING = -np.inf
NAME = "combiner.switching"


@pytest.fixture(scope="module")
def switch():
    """The combiner with the given settings."""
    known = any(point.name == NAME for point in installed())
    point = EntryPoint(name=NAME, value="recsmith_plugins.combiners.switching", group="recsmith")
    registry = load_plugins(only=[NAME], points=[] if known else [point]).registry
    return lambda **settings: registry.build("combiners", Choice(name="switching", params=settings), registry.context())


def lists(*members):
    return [np.array(items, np.int32) for items, _ in members], [np.array(scores, np.float32) for _, scores in members]


def named_after_their_members(members, requests):
    """Member m says item m to every request, and nothing else."""
    return lists(*(([[member]] * requests, [[1.0]] * requests) for member in range(members)))


def who_answers(combiner, members, *lengths):
    """The member whose item is first, for a history of each length."""
    items, _ = combiner.combine(*named_after_their_members(members, len(lengths)), 1, np.array(lengths))
    return items[:, 0].tolist()


def below(score):
    return np.nextafter(np.float32(score), np.float32(-np.inf))


def test_the_second_member_answers_from_the_threshold_on(switch):
    assert who_answers(switch(first=5), 2, 0, 1, 4, 5, 6, 900) == [0, 0, 0, 1, 1, 1]


def test_every_further_threshold_is_a_multiple_of_the_one_before(switch):
    lengths = (3, 4, 9, 10, 24, 25, 62, 63)  # the thresholds are 4, 10, 25 and 62.5
    assert who_answers(switch(first=4, factor=2.5), 5, *lengths) == [0, 1, 1, 2, 2, 3, 3, 4]


def test_thresholds_that_are_given_take_the_place_of_the_searched_ones(switch):
    combiner = switch(first=4, factor=2.5, thresholds=(2, 100))
    assert who_answers(combiner, 3, 1, 2, 4, 10, 99, 100) == [0, 1, 1, 1, 1, 2]


def test_by_default_members_change_at_5_and_15_interactions(switch):
    assert who_answers(switch(), 3, 4, 5, 14, 15) == [0, 1, 1, 2]


def test_a_single_member_answers_everybody(switch):
    assert who_answers(switch(), 1, 0, 5, 10_000) == [0, 0, 0]
    assert who_answers(switch(thresholds=()), 1, 0, 5, 10_000) == [0, 0, 0]


def test_full_lists_are_the_answers_as_they_are(switch):
    members = lists(([[4, 2, 7]] * 2, [[3.0, 2.0, 1.5]] * 2), ([[9, 4, 1]] * 2, [[80.0, 70.0, 60.0]] * 2))
    items, scores = switch(first=10).combine(*members, 2, np.array([12, 3]))
    assert items.tolist() == [[9, 4], [4, 2]]
    assert scores.tolist() == [[80.0, 70.0], [3.0, 2.0]]
    assert (items.dtype, scores.dtype) == (np.int32, np.float32)


def test_those_after_a_member_fill_up_in_turn_and_then_those_before_it_from_the_nearest_on(switch):
    members = lists(*(([[member, ABSENT]] * 4, [[10.0 - member, NOTHING]] * 4) for member in range(4)))
    items, _ = switch(thresholds=(2, 3, 4)).combine(*members, 5, np.array([1, 2, 3, 4]))
    assert items.tolist() == [[0, 1, 2, 3, ABSENT], [1, 2, 3, 0, ABSENT], [2, 3, 1, 0, ABSENT], [3, 2, 1, 0, ABSENT]]


def test_what_fills_up_keeps_lower_scores_and_comes_down_with_higher_ones(switch):
    members = lists(
        ([[1, 2, ABSENT]] * 2, [[6.0, 4.0, NOTHING]] * 2), ([[2, 7, ABSENT]] * 2, [[0.5, 0.25, NOTHING]] * 2)
    )
    items, scores = switch(first=5).combine(*members, 4, np.array([4, 5]))
    assert items.tolist() == [[1, 2, 7, ABSENT], [2, 7, 1, ABSENT]]
    assert scores[0].tolist() == [6.0, 4.0, 0.25, NOTHING]
    assert scores[1].tolist() == [0.5, 0.25, below(0.25), NOTHING]


def test_a_request_that_its_member_cannot_serve_gets_the_nexts_list_as_it_is(switch):
    members = lists(([[5, 3]], [[70.0, 40.0]]), ([[ABSENT] * 2], [[NOTHING] * 2]))
    items, scores = switch(first=5).combine(*members, 2, np.array([30]))
    assert items.tolist() == [[5, 3]]
    assert scores.tolist() == [[70.0, 40.0]]


def test_where_no_member_has_an_item_the_list_is_empty(switch):
    members = lists(([[ABSENT], [ABSENT]], [[NOTHING]] * 2), ([[ABSENT], [6]], [[NOTHING], [1.0]]))
    items, scores = switch(first=5).combine(*members, 2, np.array([3, 3]))
    assert items.tolist() == [[ABSENT, ABSENT], [6, ABSENT]]
    assert scores.tolist() == [[NOTHING, NOTHING], [1.0, NOTHING]]


def test_nobody_asks(switch):
    members = [np.zeros((0, 4), np.int32)] * 2, [np.zeros((0, 4), np.float32)] * 2
    items, scores = switch().combine(*members, 3, np.zeros(0, np.int64))
    assert items.shape == scores.shape == (0, 3)


def test_every_list_is_as_long_as_all_members_make_it_and_descends(switch):
    rng = np.random.default_rng(0)
    items = [np.stack([rng.permutation(30)[:width] for _ in range(40)]) for width in (4, 9, 2, 12)]
    members = lists(*((ranked, -np.sort(-rng.normal(0, 5, ranked.shape), axis=1)) for ranked in items))
    lengths = rng.integers(0, 100, 40)
    named, scores = switch().combine(*members, 30, lengths)
    chosen = [0 if length < 5 else 1 if length < 15 else 2 if length < 45 else 3 for length in lengths]
    assert set(chosen) == {0, 1, 2, 3}
    for row, member in enumerate(chosen):
        width = members[0][member].shape[1]
        np.testing.assert_array_equal(named[row, :width], members[0][member][row])
        np.testing.assert_array_equal(scores[row, :width], members[1][member][row])
    held = named != ABSENT
    assert held.sum(axis=1).tolist() == [
        len(set(np.concatenate([ranked[row] for ranked in items]))) for row in range(40)
    ]
    assert (scores[:, 1:] < scores[:, :-1])[held[:, 1:]].all()


def test_thresholds_must_match_the_members(switch):
    sentence = "^switching: thresholds: 1 given for 3 lists; give 2, or none.$"
    with pytest.raises(PlanError, match=sentence):
        who_answers(switch(thresholds=(4,)), 3, 1)
    with pytest.raises(PlanError, match="0 given for 2 lists"):
        who_answers(switch(thresholds=()), 2, 1)


@pytest.mark.parametrize("thresholds", [(5, 3), (4, 4)])
def test_thresholds_must_ascend(switch, thresholds):
    with pytest.raises(PlanError, match=r"^switching: thresholds: \d, \d do not ascend; give each once, the smallest"):
        switch(thresholds=thresholds)


def test_a_threshold_is_at_least_1(switch):
    with pytest.raises(PluginError, match="thresholds"):
        switch(thresholds=(0, 3))
