"""Known answers."""

import numpy as np

from recsmith.contracts.data import TEST, TRAIN, VALID, LogColumns
from recsmith.testing.templates.splitter import MyName, MyNameConfig


def test_the_newest_share_is_the_test_and_short_histories_only_train() -> None:
    user = np.array([0] * 10 + [1] * 2)
    log = LogColumns(user, item=np.arange(12), timestamp=np.arange(12), value=None, ordered=True)
    assignment = MyName(MyNameConfig(share=0.2)).split(log, seed=0)
    assert assignment.tolist() == [TRAIN] * 6 + [VALID] * 2 + [TEST] * 2 + [TRAIN] * 2
