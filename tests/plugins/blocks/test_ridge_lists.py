"""Ridge regression of many lists against scikit-learn's, list by list."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from recsmith_plugins.blocks import ridge_lists
from recsmith_plugins.blocks.ridge_lists import Lists, Penalty, ridge


@pytest.mark.parametrize("cells", [1 << 21, 20])
def test_each_list_has_the_ridge_solution_however_many_are_solved_at_once(cells, monkeypatch):
    monkeypatch.setattr(ridge_lists, "CELLS", cells)
    rng = np.random.default_rng(0)
    lengths = np.array([4, 0, 1, 7, 3])
    table, index = rng.normal(size=(12, 3)), rng.integers(0, 12, lengths.sum())
    lists = Lists(np.concatenate([[0], np.cumsum(lengths)]), index, rng.uniform(0.5, 3.0, len(index)))
    targets = rng.normal(size=len(index))
    found = ridge(lists, table, targets, np.repeat(np.array([[0.7], [1.0], [0.2], [2.0], [5.0]]), 3, axis=1))
    np.testing.assert_array_equal(found[1], 0.0)
    for row, alpha in ((0, 0.7), (2, 0.2), (3, 2.0), (4, 5.0)):
        cells_of = slice(lists.indptr[row], lists.indptr[row + 1])
        oracle = Ridge(alpha=alpha, fit_intercept=False)
        oracle.fit(table[index[cells_of]], targets[cells_of], sample_weight=lists.weights[cells_of])
        np.testing.assert_allclose(found[row], oracle.coef_, rtol=1e-9)


def test_penalties_grow_with_a_power_of_the_count_and_those_of_offsets_do_not():
    found = Penalty(l2=3.0, exponent=0.5, bias_l2=7.0).of(np.array([0, 1, 4, 16]), 4.0, 2)
    np.testing.assert_allclose(found, [[1.5, 1.5, 7.0], [1.5, 1.5, 7.0], [3.0, 3.0, 7.0], [6.0, 6.0, 7.0]])
