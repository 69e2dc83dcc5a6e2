"""Known answers."""

import numpy as np

from recsmith.contracts.data import CatalogueFacts, RankedLists
from recsmith.testing.templates.metric import MyName, MyNameConfig


def test_a_hit_counts_for_the_chance_that_its_place_is_seen() -> None:
    catalogue = CatalogueFacts(items=5, users=2, counts=np.ones(5, np.int64))
    items = np.array([[0, 1, 2], [3, 4, 0]], np.int32)
    hits = np.array([[True, False, True], [False, False, False]])
    values = MyName(MyNameConfig(persistence=0.8))(RankedLists(items, hits, np.array([2, 1]), catalogue))
    np.testing.assert_allclose(values, [0.2 * (1 + 0.8**2), 0.0])
