"""What members learn from, and how."""

import numpy as np

from recsmith.testing.logs import groups_fold
from recsmith.updates.learning import replayed


def test_replay_keeps_whole_histories_of_users_with_new_rows_and_of_a_share_of_the_others():
    train = groups_fold().train  # 80 users, 8 interactions each
    fresh = np.arange(80) < 20
    rows = replayed(train, fresh, 0.25, seed=1)
    lengths = rows.histories.lengths
    assert (lengths[:20] == 8).all()
    assert set(lengths.tolist()) == {0, 8}
    assert (lengths > 0).sum() == 20 + 15
    assert (rows.users, rows.items) == (80, 60)
    for user in np.flatnonzero(lengths):
        assert np.array_equal(rows.histories.of(user), train.histories.of(user))


def test_a_share_of_one_is_everything_and_of_none_the_users_with_new_rows():
    train = groups_fold().train
    fresh = np.arange(80) < 20
    assert np.array_equal(replayed(train, fresh, 1.0, seed=1).histories.item_num, train.histories.item_num)
    assert len(replayed(train, fresh, 0.0, seed=1).histories.item_num) == 160
