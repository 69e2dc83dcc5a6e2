"""The cascade: who fills which place, and what the scores say."""

import numpy as np
import pytest

from recsmith.contracts.config import Choice
from recsmith.contracts.data import ABSENT
from recsmith.wiring.plugins import load_plugins

NOTHING = -np.inf


@pytest.fixture(scope="module")
def cascade():
    registry = load_plugins(only=["combiner.cascade"]).registry
    return registry.build("combiners", Choice(name="cascade"), registry.context())


def lists(*members):
    return [np.array(items, np.int32) for items, _ in members], [np.array(scores, np.float32) for _, scores in members]


def combined(combiner, members, k):
    """The answer for histories of lengths that say nothing here."""
    items, scores = members
    return combiner.combine(items, scores, k, np.arange(len(items[0])))


def below(score):
    return np.nextafter(np.float32(score), np.float32(-np.inf))


def test_a_full_first_list_is_the_answer(cascade):
    items, scores = combined(cascade, lists(([[4, 2, 7]], [[3.0, 2.0, 1.5]]), ([[9, 4, 1]], [[8.0, 7.0, 6.0]])), 2)
    assert items.tolist() == [[4, 2]]
    assert scores.tolist() == [[3.0, 2.0]]
    assert (items.dtype, scores.dtype) == (np.int32, np.float32)


def test_each_list_fills_where_those_before_it_end_and_no_item_comes_twice(cascade):
    members = lists(
        ([[4, 2, ABSENT]], [[0.5, 0.25, NOTHING]]),
        ([[2, 9, ABSENT]], [[0.2, 0.1, NOTHING]]),
        ([[9, 4, 6]], [[0.09, 0.08, 0.07]]),
    )
    items, scores = combined(cascade, members, 5)
    assert items.tolist() == [[4, 2, 9, 6, ABSENT]]
    np.testing.assert_array_equal(scores, np.float32([[0.5, 0.25, 0.1, 0.07, NOTHING]]))


def test_a_request_that_the_first_cannot_serve_gets_the_seconds_list_as_it_is(cascade):
    members = lists(
        ([[ABSENT] * 2, [1, 2]], [[NOTHING] * 2, [9.0, 8.0]]), ([[5, 3], [5, 3]], [[70.0, 40.0], [7.0, 4.0]])
    )
    items, scores = combined(cascade, members, 2)
    assert items.tolist() == [[5, 3], [1, 2]]
    assert scores.tolist() == [[70.0, 40.0], [9.0, 8.0]]


def test_lower_scores_of_a_later_list_stay_as_they_are(cascade):
    members = lists(([[5, 7, ABSENT]], [[-1.0, -2.0, NOTHING]]), ([[7, 2, ABSENT]], [[-3.0, -4.0, NOTHING]]))
    items, scores = combined(cascade, members, 3)
    assert items.tolist() == [[5, 7, 2]]
    assert scores.tolist() == [[-1.0, -2.0, -4.0]]


def test_higher_scores_of_a_later_list_are_lowered_by_one_amount(cascade):
    members = lists(([[1, ABSENT]], [[-2.0, NOTHING]]), ([[1, 6, 3, 8]], [[900.0, 800.0, 300.0, 299.0]]))
    items, scores = combined(cascade, members, 4)
    assert items.tolist() == [[1, 6, 3, 8]]
    assert scores[0, :2].tolist() == [-2.0, below(-2.0)]
    np.testing.assert_allclose(scores[0, 1:] - scores[0, 1], [0.0, -500.0, -501.0], rtol=1e-6)


def test_an_equal_score_of_a_later_list_is_lowered_too(cascade):
    members = lists(([[8, ABSENT]], [[2.0, NOTHING]]), ([[1, ABSENT]], [[2.0, NOTHING]]))
    items, scores = combined(cascade, members, 2)
    assert items.tolist() == [[8, 1]]
    assert scores.tolist() == [[2.0, below(2.0)]]


def test_a_third_list_stands_below_a_second_that_was_lowered(cascade):
    members = lists(([[1]], [[1e-5]]), ([[2, 3]], [[1e6, 1e6 - 1]]), ([[4]], [[0.0]]))
    items, scores = combined(cascade, members, 4)
    assert items.tolist() == [[1, 2, 3, 4]]
    assert scores[0, 1] == below(1e-5)
    assert scores[0, 3] == below(scores[0, 2])


def test_a_longer_list_begins_with_the_shorter(cascade):
    rng = np.random.default_rng(0)
    items = [np.stack([rng.permutation(30)[:width] for _ in range(20)]) for width in (4, 9, 2, 12)]
    members = lists(*((ranked, -np.sort(-rng.normal(0, 5, ranked.shape), axis=1)) for ranked in items))
    longest, scores = combined(cascade, members, 30)
    for k in range(1, 30):
        shorter = combined(cascade, members, k)
        np.testing.assert_array_equal(shorter[0], longest[:, :k])
        np.testing.assert_array_equal(shorter[1], scores[:, :k])
    held = longest != ABSENT
    assert (scores[:, 1:] < scores[:, :-1])[held[:, 1:]].all()
    union = [len({item for ranked in items for item in ranked[row].tolist()}) for row in range(20)]
    assert held.sum(axis=1).tolist() == union
