"""Known answers."""

import numpy as np

from recsmith.testing.templates.task_sampler import MyName, MyNameConfig


def test_only_users_with_something_to_be_judged_on_are_drawn_and_long_histories_more_often() -> None:
    sampler, lengths = MyName(MyNameConfig(power=1.0)), np.array([0, 1, 30, 10])
    assert sorted(sampler.draw(lengths, 2, seed=0)) == [2, 3]
    users = sampler.draw(lengths, 10_000, seed=0)
    np.testing.assert_allclose(np.bincount(users) / 10_000, [0.0, 0.0, 0.75, 0.25], atol=0.02)
