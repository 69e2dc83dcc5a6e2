"""Known answers."""

import numpy as np

from recsmith.contracts.data import ABSENT, Interactions, Requests
from recsmith.testing.logs import histories_of
from recsmith.testing.templates.model import MyName, MyNameConfig


def test_followers_are_weighed_against_popularity() -> None:
    model = MyName(MyNameConfig(reach=1, shrinkage=1.0))
    model.fit(Interactions(histories_of([[0, 1, 2], [0, 1], [0, 2]]), users=3, items=3, ordered=True))
    scores = model.scores(Requests(np.array([ABSENT, ABSENT], np.int32), histories_of([[2, 0], []])))
    # Of the three interactions after item 0 two are with item 1, one with item 2; popularity is 3, 2, 2 of 7.
    expected = [[3 / 28, 16 / 28, 9 / 28], [3 / 7, 2 / 7, 2 / 7]]
    np.testing.assert_allclose(scores, expected, rtol=1e-6)
