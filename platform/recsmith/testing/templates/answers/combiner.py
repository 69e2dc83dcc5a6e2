"""Known answers."""

import numpy as np

from recsmith.contracts.data import ABSENT
from recsmith.testing.templates.combiner import MyName, MyNameConfig


def test_an_item_in_both_lists_is_worth_more() -> None:
    items = [np.array([[1, 2, 3]], np.int32), np.array([[2, 4, ABSENT]], np.int32)]
    scores = [np.array([[3.0, 2.0, 1.0]], np.float32), np.array([[80.0, 40.0, -np.inf]], np.float32)]
    best, totals = MyName(MyNameConfig(agreement=1.0)).combine(items, scores, 5, np.array([4]))
    # On one scale the lists are 1, 1/2, 0 and 1, 0. Item 2 is in both, so its sum counts twice.
    assert best.tolist() == [[2, 1, 3, 4, ABSENT]]
    np.testing.assert_allclose(totals, [[3.0, 1.0, 0.0, 0.0, -np.inf]])
