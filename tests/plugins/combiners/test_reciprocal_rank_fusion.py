"""Reciprocal rank fusion: known answers, ties, and agreement with ranx."""

import numpy as np
import pytest

from recsmith.contracts.config import Choice
from recsmith.contracts.data import ABSENT
from recsmith.contracts.errors import PlanError
from recsmith.wiring.plugins import load_plugins


@pytest.fixture(scope="module")
def fusion():
    """The combiner with the given settings."""
    registry = load_plugins(only=["combiner.reciprocal_rank_fusion"]).registry
    return lambda **settings: registry.build(
        "combiners", Choice(name="reciprocal_rank_fusion", params=settings), registry.context()
    )


def lists(*members):
    items = [np.array(member, np.int32) for member in members]
    return items, [np.zeros(member.shape, np.float32) for member in items]


def combined(combiner, members, k):
    """The answer for histories of lengths that say nothing here."""
    items, scores = members
    return combiner.combine(items, scores, k, np.arange(len(items[0])))


def test_known_answer_of_two_lists_of_which_one_is_short(fusion):
    items, scores = combined(fusion(), lists([[1, 2, 3]], [[3, 9, ABSENT]]), 5)
    assert items.tolist() == [[3, 1, 2, 9, ABSENT]]
    expected = [1 / 63 + 1 / 61, 1 / 61, 1 / 62, 1 / 62, -np.inf]
    np.testing.assert_allclose(scores, [expected], rtol=1e-6)
    assert (items.dtype, scores.dtype) == (np.int32, np.float32)


def test_weights_and_constant_shape_the_sum(fusion):
    items, scores = combined(fusion(k=1, weights=(1.0, 3.0)), lists([[5, 6]], [[6, 5]]), 2)
    assert items.tolist() == [[6, 5]]
    np.testing.assert_allclose(scores, [[3 / 2 + 1 / 3, 1 / 2 + 3 / 3]], rtol=1e-6)


def test_equal_sums_are_ordered_by_item_number_whatever_list_gave_which_rank(fusion):
    items, _ = combined(fusion(), lists([[8, 2, 5]], [[5, 8, 2]], [[2, 5, 8]]), 3)
    assert items.tolist() == [[2, 5, 8]]


def test_rows_do_not_touch_each_other(fusion):
    items, _ = combined(fusion(), lists([[4, 1], [4, ABSENT]], [[4, 2], [ABSENT, ABSENT]]), 3)
    assert items.tolist() == [[4, 1, 2], [4, ABSENT, ABSENT]]


def test_weights_must_match_the_members(fusion):
    with pytest.raises(PlanError, match="2 given for 1 lists"):
        combined(fusion(weights=(1.0, 2.0)), lists([[1]]), 1)


@pytest.mark.slow  # ranx compiles for more than a minute
@pytest.mark.filterwarnings("ignore::Warning")
def test_scores_agree_with_ranx(fusion):
    import ranx

    rng = np.random.default_rng(0)
    members = [np.stack([rng.permutation(40)[:width] for _ in range(12)]) for width in (10, 7, 15)]
    items, scores = combined(fusion(), lists(*members), 20)
    runs = [
        ranx.Run(
            {
                str(row): {str(item): float(100 - rank) for rank, item in enumerate(ranked)}
                for row, ranked in enumerate(member)
            }
        )
        for member in members
    ]
    oracle = ranx.fuse(runs, norm=None, method="rrf", params={"k": 60}).to_dict()
    for row, (ranked, values) in enumerate(zip(items, scores, strict=True)):
        expected = [oracle[str(row)][str(item)] for item in ranked]
        np.testing.assert_allclose(values, expected, rtol=1e-6)
        assert min(expected) >= max(set(oracle[str(row)].values()) - set(expected), default=0) - 1e-9
