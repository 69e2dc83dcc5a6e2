"""Similarities of sparse rows against their definitions, written over sets and dense rows."""

import numpy as np
import pytest
from scipy import sparse

from recsmith.contracts.data import Histories
from recsmith_plugins.blocks.similarity import (
    Comparison,
    Similarity,
    Terms,
    largest,
    nearest,
    squared_lengths,
    summing_to_one,
    takers,
    tversky,
    weigh,
)

RNG = np.random.default_rng(4)
DENSE = (RNG.random((12, 20)) < 0.4).astype(np.float32)
ROWS = sparse.csr_array(DENSE)
SETS = [set(np.flatnonzero(row).tolist()) for row in DENSE]


def of_pairs(index):
    """[12, 12] of a function of two sets, 0 where they share nothing."""
    return np.array([[index(one, other) if one & other else 0.0 for other in SETS] for one in SETS])


@pytest.mark.parametrize(
    ("comparison", "shrinkage", "index"),
    [
        (Comparison(first=1.0, second=1.0), 0.0, lambda a, b: len(a & b) / len(a | b)),  # Tanimoto
        (Comparison(first=0.5, second=0.5), 0.0, lambda a, b: 2 * len(a & b) / (len(a) + len(b))),  # Dice
        (Comparison(first=1.0, second=0.0), 0.0, lambda a, b: len(a & b) / len(a)),
        (Comparison(first=0.0, second=1.0), 0.0, lambda a, b: len(a & b) / len(b)),
        (
            Comparison(first=0.3, second=1.7),
            2.0,
            lambda a, b: len(a & b) / (len(a & b) + 0.3 * len(a - b) + 1.7 * len(b - a) + 2.0),
        ),
    ],
)
def test_tversky_is_its_definition_over_sets(comparison, shrinkage, index):
    sizes = np.diff(ROWS.indptr)
    found = tversky(ROWS @ ROWS.T, (sizes, sizes), comparison, shrinkage)
    np.testing.assert_allclose(found.toarray(), of_pairs(index), rtol=1e-6)


@pytest.mark.parametrize("asymmetry", [0.0, 0.3, 0.5, 1.0])
def test_both_sides_together_are_the_asymmetric_cosine(asymmetry):
    plain = Similarity(weighting="cosine", shrinkage=0.0)
    terms = Terms.of(ROWS, plain)
    first, second = (weigh(ROWS, plain, terms, exponent) for exponent in (asymmetry, 1.0 - asymmetry))
    expected = of_pairs(lambda a, b: len(a & b) / (len(a) ** asymmetry * len(b) ** (1.0 - asymmetry)))
    np.testing.assert_allclose((first @ second.T).toarray(), expected, rtol=1e-6)


def test_what_has_no_lengths_is_not_divided():
    bm25 = Similarity(weighting="bm25")
    terms = Terms.of(ROWS, bm25)
    assert squared_lengths(ROWS, bm25, terms).tolist() == [1.0] * 12
    one, other = (weigh(ROWS, bm25, terms, exponent).toarray() for exponent in (0.1, 0.9))
    assert np.array_equal(one, other)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("weights", [None, np.arange(1, 8, dtype=np.float32)])
def test_takers_are_the_transposed_histories(weighted, weights):
    histories = Histories(np.array([0, 4, 4, 7]), np.array([3, 0, 3, 3, 2, 0, 2], np.int32), weight=weights)
    found = takers(histories, 5, weighted=weighted)
    assert found.has_canonical_format
    assert np.array_equal(found.toarray(), histories.matrix(5, weighted=weighted).toarray().T)


def test_the_largest_of_every_row_stay_where_they_were():
    values = sparse.csr_array(np.array([[0.0, 3.0, 1.0, 2.0], [0.0, 0.0, 0.0, 5.0], [0.0, 0.0, 0.0, 0.0]]))
    assert largest(values, 2).toarray().tolist() == [[0, 3, 0, 2], [0, 0, 0, 5], [0, 0, 0, 0]]


def test_nearest_are_the_largest_products_of_rows():
    rows = sparse.csr_array(RNG.random((9, 6)))
    products = (rows @ rows.T).toarray()
    expected = np.where(products >= np.sort(products, axis=1)[:, [-4]], products, 0.0)
    np.testing.assert_allclose(nearest(rows, 4).toarray(), expected)
    np.testing.assert_allclose(nearest(rows, 100).toarray(), products)


def test_rows_sum_to_one_and_an_empty_one_stays_empty():
    rows = sparse.csr_array(np.array([[1.0, 3.0], [0.0, 0.0]]))
    assert summing_to_one(rows).toarray().tolist() == [[0.25, 0.75], [0.0, 0.0]]
