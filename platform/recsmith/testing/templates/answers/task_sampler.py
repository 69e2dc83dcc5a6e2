"""Known answers."""

import numpy as np

from recsmith.contracts.tasks import TaskUsers
from recsmith.testing.templates.task_sampler import MyName, MyNameConfig


def test_only_users_with_something_to_be_judged_on_are_drawn_and_long_histories_more_often() -> None:
    nothing = np.zeros((4, 1), np.float32)  # this sampler asks for lengths only
    users = TaskUsers(np.array([0, 1, 30, 10]), lambda: nothing, lambda: nothing[:, 0])
    sampler = MyName(MyNameConfig(power=1.0))
    assert sorted(sampler.draw(users, 2, seed=0)) == [2, 3]
    drawn = sampler.draw(users, 10_000, seed=0)
    np.testing.assert_allclose(np.bincount(drawn) / 10_000, [0.0, 0.0, 0.75, 0.25], atol=0.02)
