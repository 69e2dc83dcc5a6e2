"""The weighted sum of scaled scores: known answers, short lists, ties, and agreement with ranx."""

import numpy as np
import pytest
from pydantic import ValidationError

from recsmith.contracts.config import Choice
from recsmith.contracts.data import ABSENT
from recsmith.contracts.errors import PlanError
from recsmith.wiring.plugins import load_plugins

NOTHING = -np.inf


@pytest.fixture(scope="module")
def weighted():
    """The combiner with the given settings."""
    registry = load_plugins(only=["combiner.weighted_scores"]).registry
    return lambda **settings: registry.build(
        "combiners", Choice(name="weighted_scores", params=settings), registry.context()
    )


def lists(*members):
    return [np.array(items, np.int32) for items, _ in members], [np.array(scores, np.float32) for _, scores in members]


def combined(combiner, members, k):
    """The answer for histories of lengths that say nothing here."""
    items, scores = members
    return combiner.combine(items, scores, k, np.arange(len(items[0])))


def test_min_max_adds_what_each_list_gives_between_0_and_1(weighted):
    members = lists(([[1, 2, 3]], [[30.0, 20.0, 10.0]]), ([[2, 3, 9, ABSENT]], [[0.5, 0.4, 0.1, NOTHING]]))
    items, scores = combined(weighted(), members, 5)
    assert items.tolist() == [[2, 1, 3, 9, ABSENT]]
    np.testing.assert_allclose(scores, [[1.5, 1.0, 0.75, 0.0, NOTHING]], rtol=1e-6)
    assert (items.dtype, scores.dtype) == (np.int32, np.float32)


def test_z_score_measures_in_deviations_above_the_lowest_of_the_list(weighted):
    members = lists(([[1, 2, 3]], [[6.0, 3.0, 0.0]]), ([[3, 4]], [[8.0, 4.0]]))
    items, scores = combined(weighted(scale="z_score"), members, 4)
    assert items.tolist() == [[1, 3, 2, 4]]
    np.testing.assert_allclose(scores, [[6 / np.sqrt(6), 2.0, 3 / np.sqrt(6), 0.0]], rtol=1e-6)


@pytest.mark.parametrize("scale", ["min_max", "z_score"])
def test_a_missing_item_never_passes_one_that_the_list_holds_last(weighted, scale):
    members = lists(([[1, 2]], [[5.0, 4.0]]), ([[7, 8, 1]], [[1.0, 0.9, -3.0]]))
    items, scores = combined(weighted(scale=scale), members, 4)
    alone, own = combined(weighted(scale=scale), lists(([[1, 2]], [[5.0, 4.0]])), 2)
    assert scores[items == 1] == own[alone == 1]
    assert scores[items == 2] == own[alone == 2]


@pytest.mark.parametrize("scale", ["min_max", "z_score"])
def test_neither_unit_nor_zero_nor_padding_of_a_member_counts(weighted, scale):
    rng = np.random.default_rng(3)
    items = [np.stack([rng.permutation(9)[:6] for _ in range(4)]) for _ in range(2)]
    scores = [-np.sort(-rng.normal(size=(4, 6)), axis=1) for _ in range(2)]
    padding = ((0, 0), (0, 3))
    moved = lists(
        (
            np.pad(items[0], padding, constant_values=ABSENT),
            np.pad(50 * scores[0] - 7, padding, constant_values=NOTHING),
        ),
        (items[1], scores[1]),
    )
    expected = combined(weighted(scale=scale), lists(*zip(items, scores, strict=True)), 9)
    actual = combined(weighted(scale=scale), moved, 9)
    np.testing.assert_array_equal(actual[0], expected[0])
    np.testing.assert_allclose(actual[1], expected[1], rtol=1e-4)


def test_weights_shape_the_sum(weighted):
    members = lists(([[5, 6, 7]], [[3.0, 2.0, 1.0]]), ([[7, 6, 5]], [[3.0, 2.0, 1.0]]))
    items, scores = combined(weighted(weights=(1.0, 3.0)), members, 3)
    assert items.tolist() == [[7, 6, 5]]
    np.testing.assert_allclose(scores, [[3.0, 2.0, 1.0]], rtol=1e-6)


@pytest.mark.parametrize("scale", ["min_max", "z_score"])
def test_a_list_of_equal_scores_gives_each_of_its_items_1(weighted, scale):
    members = lists(
        ([[4, ABSENT], [6, 8]], [[0.3, NOTHING], [0.3, 0.3]]), ([[5, ABSENT], [6, ABSENT]], [[9.0, NOTHING]] * 2)
    )
    items, scores = combined(weighted(scale=scale, weights=(1.0, 2.0)), members, 3)
    assert items.tolist() == [[5, 4, ABSENT], [6, 8, ABSENT]]
    np.testing.assert_array_equal(scores, [[2.0, 1.0, NOTHING], [3.0, 1.0, NOTHING]])


def test_equal_sums_are_ordered_by_item_number_whatever_list_gave_which_part(weighted):
    scores = [[0.7, 0.4, 0.3, 0.0]]  # whose scaled sum in float64 depends on the order of its terms
    members = lists(([[8, 2, 5, 9]], scores), ([[5, 8, 2, 9]], scores), ([[2, 5, 8, 9]], scores))
    items, sums = combined(weighted(), members, 4)
    assert items.tolist() == [[2, 5, 8, 9]]
    assert len(set(sums[0, :3].tolist())) == 1


def test_one_member_keeps_its_order_where_float32_cannot_tell_the_sums_apart(weighted):
    items, scores = combined(weighted(), lists(([[7, 5, 3, 1]], [[3.0, 2.0, 1.0, -1e12]])), 3)
    assert items.tolist() == [[7, 5, 3]]
    assert scores.tolist() == [[1.0, 1.0, 1.0]]


def test_weights_must_match_the_members(weighted):
    with pytest.raises(PlanError, match="2 given for 1 lists"):
        combined(weighted(weights=(1.0, 2.0)), lists(([[1]], [[1.0]])), 1)


@pytest.mark.parametrize("weight", [0.0, np.inf])
def test_a_weight_is_positive_and_finite(weight):
    config = load_plugins(only=["combiner.weighted_scores"]).registry.spec("combiners", "weighted_scores").config
    with pytest.raises(ValidationError, match="weights"):
        config(weights=(weight,))


@pytest.mark.slow  # ranx compiles for more than a minute
@pytest.mark.filterwarnings("ignore::Warning")
@pytest.mark.parametrize("weights", [None, (1.0, 2.5, 0.4)])
def test_min_max_sums_agree_with_ranx(weighted, weights):
    import ranx

    rng = np.random.default_rng(0)
    items = [np.stack([rng.permutation(40)[:width] for _ in range(12)]) for width in (10, 7, 15)]
    scores = [-np.sort(-rng.normal(size=ranked.shape).astype(np.float32), axis=1) for ranked in items]
    named, sums = combined(weighted(weights=weights), lists(*zip(items, scores, strict=True)), 20)
    runs = [
        ranx.Run(
            {
                str(row): {str(item): float(score) for item, score in zip(*pair, strict=True)}
                for row, pair in enumerate(zip(ranked, values, strict=True))
            }
        )
        for ranked, values in zip(items, scores, strict=True)
    ]
    how = {"method": "wsum", "params": {"weights": weights}} if weights else {"method": "sum"}
    oracle = ranx.fuse(runs, norm="min-max", **how).to_dict()
    for row, (ranked, values) in enumerate(zip(named, sums, strict=True)):
        best = sorted(oracle[str(row)].values(), reverse=True)[:20]
        expected = [oracle[str(row)][str(item)] for item in ranked[ranked != ABSENT]]
        np.testing.assert_allclose(values[ranked != ABSENT], expected, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(expected, best, rtol=1e-5, atol=1e-6)
