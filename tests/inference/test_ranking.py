"""The one ranking: exact order, ties by item number, masks, bounded chunks."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from recsmith.contracts.data import ABSENT, Histories, Requests, State
from recsmith.contracts.errors import NotFiniteError, PluginError
from recsmith.inference.ranking import rank, top_k

LOWEST = -np.inf


class Table:
    """A model whose scores are written down, and which notes how many requests it was asked at once."""

    def __init__(self, scores):
        self.table = np.asarray(scores, np.float32)
        self.asked = []

    def scores(self, requests):
        self.asked.append(len(requests))
        return self.table[requests.user_num]

    def state(self):
        return State()

    def load(self, state):
        pass


def histories(*lists):
    indptr = np.concatenate([[0], np.cumsum([len(items) for items in lists])]).astype(np.int64)
    return Histories(indptr, np.array([item for items in lists for item in items], np.int32))


def requests(*lists):
    return Requests(np.arange(len(lists), dtype=np.int32), histories(*lists))


def in_full(scores, k):
    """The definition: a stable sort of the whole row, best first."""
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    best = np.take_along_axis(scores, order, 1)
    order = np.where(best > LOWEST, order, ABSENT)
    missing = ((0, 0), (0, k - order.shape[1]))
    return np.pad(order, missing, constant_values=ABSENT), np.pad(best, missing, constant_values=LOWEST)


@settings(max_examples=150, deadline=None)
@given(
    scores=hnp.arrays(
        np.float32,
        st.tuples(st.integers(1, 4), st.integers(1, 300)),
        elements=st.sampled_from([LOWEST, -2.0, -0.0, 0.0, 0.5, 1.0, 3.0]),
    ),
    k=st.integers(1, 40),
)
def test_top_k_is_the_stable_sort_of_the_row_however_many_scores_are_equal(scores, k):
    items, best = top_k(scores, k)
    expected_items, expected_best = in_full(scores, k)
    np.testing.assert_array_equal(expected_items, items)
    np.testing.assert_array_equal(expected_best, best)
    assert (items.dtype, best.dtype) == (np.int32, np.float32)


@pytest.mark.parametrize(("width", "k"), [(3706, 10), (3706, 100), (20_000, 1), (20_000, 20)])
def test_top_k_is_exact_on_wide_rows(width, k):
    scores = np.random.default_rng(0).standard_normal((50, width), np.float32)
    for table in (scores, np.round(scores, 1), np.maximum(scores, 2.5)):
        items, _ = top_k(table, k)
        np.testing.assert_array_equal(in_full(table, k)[0], items)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_score_that_is_not_finite_is_refused_wherever_it_stands(bad):
    for place in (0, 517, 999):
        scores = np.zeros((3, 1000), np.float32)
        scores[1, place] = bad
        with pytest.raises(NotFiniteError, match="request 1 of 3"):
            top_k(scores, 5)


def test_seen_items_are_left_out_and_missing_places_are_absent():
    model = Table([[5, 4, 3, 2], [1, 1, 1, 1]])
    items, scores = rank(model, requests([0, 2, 0], []), 3, items=4, mask_seen=True)
    assert items.tolist() == [[1, 3, ABSENT], [0, 1, 2]]
    assert scores.tolist() == [[4, 2, LOWEST], [1, 1, 1]]


def test_seen_items_stay_when_they_are_not_masked():
    items, _ = rank(Table([[5, 4, 3, 2]]), requests([0, 2]), 3, items=4, mask_seen=False)
    assert items.tolist() == [[0, 1, 2]]


def test_excluded_items_are_left_out_besides_the_seen_ones():
    asked, more = requests([0], []), histories([1], [0, 3])
    items, _ = rank(Table([[5, 4, 3, 2]] * 2), asked, 2, items=4, mask_seen=True, exclude=more)
    assert items.tolist() == [[2, 3], [1, 2]]


def test_a_read_only_score_array_is_not_written_to():
    model = Table([[5, 4, 3]])
    model.scores = lambda asked: np.broadcast_to(model.table[0], (len(asked), 3))
    items, _ = rank(model, requests([0], [1]), 1, items=3, mask_seen=True)
    assert items.tolist() == [[1], [0]]
    assert model.table.tolist() == [[5, 4, 3]]


def test_scores_never_exceed_the_stated_memory_and_chunks_change_nothing():
    rng = np.random.default_rng(1)
    table = rng.standard_normal((100, 50), np.float32)
    asked = requests(*[rng.integers(0, 50, 5).tolist() for _ in range(100)])
    whole, _ = rank(Table(table), asked, 7, items=50, mask_seen=True)
    model = Table(table)
    chunked, _ = rank(model, asked, 7, items=50, mask_seen=True, memory=8 * 50 * 4)
    np.testing.assert_array_equal(whole, chunked)
    assert set(model.asked[:-1]) == {8}
    assert sum(model.asked) == 100


@pytest.mark.parametrize("k", [10, 1500])
def test_ranking_takes_a_small_multiple_of_the_stated_memory(k):
    users, items, memory = 2000, 3000, 2**19

    class Computed(Table):
        def scores(self, requests):
            return np.outer(requests.user_num + 1, self.table[0]).astype(np.float32, copy=False)

    model = Computed(np.random.default_rng(0).standard_normal((1, items)))
    asked = Requests(np.arange(users, dtype=np.int32), histories(*[[0]] * users))
    lists = users * k * 8
    tracemalloc.start()
    rank(model, asked, k, items=items, mask_seen=True, memory=memory)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak - lists < 8 * memory < users * items * 4 / 5  # the model's own work included


@pytest.mark.parametrize(
    ("scores", "told"),
    [(np.zeros((1, 2)), r"\[1, 2\]"), (np.zeros(3), r"\[3\]"), (None, "a NoneType"), ([[0.0] * 3], "a list")],
)
def test_scores_of_another_shape_are_refused(scores, told):
    model = Table([[5, 4, 3]])
    model.scores = lambda _: scores
    with pytest.raises(PluginError, match=rf"^the model's scores are {told}, and \[1, 3\] were asked for"):
        rank(model, requests([0]), 1, items=3, mask_seen=True)


def test_no_requests_give_no_lists():
    items, scores = rank(Table([[1.0]]), requests(), 3, items=1, mask_seen=True)
    assert items.shape == scores.shape == (0, 3)
