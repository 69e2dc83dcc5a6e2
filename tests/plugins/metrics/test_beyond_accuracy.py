"""Coverage, Gini, diversity, novelty, popularity lift and serendipity against their definitions, written out."""

from collections import Counter
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from scipy import sparse
from scipy.stats import entropy
from sklearn.metrics.pairwise import cosine_similarity

from recsmith.contracts.data import ABSENT, CatalogueFacts, RankedLists


def shown(row):
    return [int(item) for item in row if item != ABSENT]


def coverage_by_sets(lists):
    return len(set().union(*map(shown, lists.items))) / lists.catalogue.items


def gini_by_all_pairs(lists):
    times = Counter(item for row in lists.items for item in shown(row))
    exposure = [times[item] for item in range(lists.catalogue.items)]
    total = sum(exposure)
    return sum(abs(a - b) for a in exposure for b in exposure) / (2 * len(exposure) * total) if total else 0.0


def novelty_by_loops(lists):
    counts = lists.catalogue.counts
    bits = [[-np.log2(max(counts[item], 1) / max(1, counts.sum())) for item in shown(row)] for row in lists.items]
    return [np.mean(row) if row else 0.0 for row in bits]


def lift_by_loops(lists):
    popularity = [count for count in lists.catalogue.counts for _ in range(count)]  # of every interaction's item
    if not popularity:
        return [0.0] * len(lists.items)
    usual = np.mean(popularity)
    means = [[lists.catalogue.counts[item] for item in shown(row)] for row in lists.items]
    return [(np.mean(row) - usual) / usual if row else 0.0 for row in means]


def serendipity_by_sets(lists):
    K = lists.items.shape[1]
    by_count = sorted(range(lists.catalogue.items), key=lambda item: (-lists.catalogue.counts[item], item))
    popular = set(by_count[:K])
    useful = [
        {int(i) for i, hit in zip(row, hits, strict=True) if hit}
        for row, hits in zip(lists.items, lists.hits, strict=True)
    ]
    return [len(items - popular) / K for items in useful]


DEFINITIONS = {
    "coverage": coverage_by_sets,
    "gini": gini_by_all_pairs,
    "novelty": novelty_by_loops,
    "popularity_lift": lift_by_loops,
    "serendipity": serendipity_by_sets,
}


@pytest.mark.parametrize("name", DEFINITIONS)
def test_values_agree_with_the_definition(name, metric, cases):
    @settings(max_examples=80, deadline=None)
    @given(case=cases)
    def agree(case):
        lists, _ = case
        np.testing.assert_allclose(metric(name)(lists), DEFINITIONS[name](lists), rtol=0, atol=1e-9)

    agree()


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array])
def test_intra_list_diversity_agrees_with_scikit_learns_cosines(form, metric, cases):
    @settings(max_examples=60, deadline=None)
    @given(case=cases)
    def agree(case):
        lists, _ = case
        rng = np.random.default_rng(lists.catalogue.items)
        raw = rng.standard_normal((lists.catalogue.items, 5)) * (rng.random((lists.catalogue.items, 1)) < 0.8)
        lengths = np.linalg.norm(raw, axis=1, keepdims=True)
        unit = raw / np.where(lengths > 0, lengths, 1)
        distance = 1 - cosine_similarity(raw)
        pairs = [list(combinations(shown(row), 2)) for row in lists.items]
        expected = [np.mean([distance[pair] for pair in row]) if row else 0.0 for row in pairs]
        judged = replace(lists, catalogue=replace(lists.catalogue, similarity=form(unit)))
        np.testing.assert_allclose(metric("intra_list_diversity")(judged), expected, rtol=0, atol=1e-9)

    agree()


def test_mean_novelty_of_lists_that_follow_the_log_is_the_entropy_of_the_log(metric):
    counts = np.array([4, 2, 1, 1], np.int64)
    items = np.repeat(np.arange(4), counts)[:, None].astype(np.int32)
    lists = RankedLists(items, items < 0, np.ones(8, np.int64), CatalogueFacts(4, 8, counts))
    assert entropy(counts, base=2) == pytest.approx(metric("novelty")(lists).mean(), abs=1e-12)


def test_lists_that_follow_the_log_have_no_popularity_lift(metric):
    counts = np.array([4, 2, 1, 1], np.int64)
    items = np.repeat(np.arange(4), counts)[:, None].astype(np.int32)
    lists = RankedLists(items, items < 0, np.ones(8, np.int64), CatalogueFacts(4, 8, counts))
    assert metric("popularity_lift")(lists).mean() == pytest.approx(0.0, abs=1e-12)


def test_gini_is_zero_for_equal_exposure_and_near_one_for_a_single_item(metric):
    facts = CatalogueFacts(5, 5, np.ones(5, np.int64))
    nobody = np.zeros((5, 1), np.bool_)
    even = RankedLists(np.arange(5, dtype=np.int32)[:, None], nobody, np.ones(5, np.int64), facts)
    assert metric("gini")(even) == 0.0
    single = RankedLists(np.zeros((5, 1), np.int32), nobody, np.ones(5, np.int64), facts)
    assert metric("gini")(single) == pytest.approx(1 - 1 / 5)


def test_a_list_of_the_most_popular_items_has_no_serendipity(metric):
    facts = CatalogueFacts(4, 5, np.array([1, 9, 3, 8], np.int64))
    lists = RankedLists(np.array([[1, 3], [3, 0]], np.int32), np.ones((2, 2), np.bool_), np.array([2, 2]), facts)
    assert metric("serendipity")(lists).tolist() == [0.0, 0.5]
