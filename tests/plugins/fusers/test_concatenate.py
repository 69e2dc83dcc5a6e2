"""Concatenation keeps rows apart and columns balanced."""

import numpy as np
import pytest
from scipy import sparse

from recsmith.contracts.errors import PlanError
from recsmith_plugins.fusers.concatenate import Concatenate, ConcatenateConfig

DENSE = np.array([[3, 4], [0, 0]], np.float32)
WIDE = np.array([[0, 100, 0], [7, 0, 0]], np.float32)


def fuse(features, **params):
    return Concatenate(ConcatenateConfig(**params)).fuse(features)


def test_every_column_has_unit_rows_and_an_equal_share():
    expected = np.array([[0.6, 0.8, 0, 1, 0], [0, 0, 1, 0, 0]]) / np.sqrt(2)
    np.testing.assert_allclose(fuse({"a": DENSE, "b": WIDE}), expected, rtol=1e-6)


def test_one_sparse_column_makes_the_whole_sparse():
    mixed = fuse({"a": DENSE, "b": sparse.csr_array(WIDE)})
    assert isinstance(mixed, sparse.csr_array)
    assert mixed.dtype == np.float32
    np.testing.assert_allclose(mixed.toarray(), fuse({"a": DENSE, "b": WIDE}), rtol=1e-6)


def test_columns_stand_in_order_of_their_names():
    assert np.array_equal(fuse({"b": WIDE, "a": DENSE}), fuse({"a": DENSE, "b": WIDE}))


def test_without_normalising_only_the_share_is_applied():
    np.testing.assert_allclose(fuse({"a": DENSE}, normalise=False), DENSE)


def test_a_column_without_features_takes_no_room():
    assert fuse({"a": DENSE, "b": np.zeros((2, 0), np.float32)}).shape == (2, 2)


def test_what_was_given_stays_as_it_was():
    given = sparse.csr_array(WIDE)
    fuse({"a": given})
    assert np.array_equal(given.toarray(), WIDE)


def test_nothing_to_fuse_is_refused_with_a_sentence():
    with pytest.raises(PlanError, match="no column is encoded"):
        fuse({})
