"""Which users make a block of tasks."""

import numpy as np
import pytest

from recsmith.contracts.config import Choice
from recsmith.contracts.tasks import TaskUsers
from recsmith.wiring.plugins import load_plugins

REGISTRY = load_plugins().registry
LENGTHS = np.full(60, 5)
KIND = np.repeat([0, 1, 2], [40, 15, 5])  # of the users, common and rare ones
VECTORS = (np.eye(3)[KIND] + np.random.default_rng(0).normal(0, 0.01, (60, 3))).astype(np.float32)
LOSSES = np.linspace(0.0, 1.0, 60).astype(np.float32)
USERS = TaskUsers(LENGTHS, lambda: VECTORS, lambda: LOSSES)


def drawn(name, count, users=USERS, draws=400, **params):
    sampler = REGISTRY.build("task_samplers", Choice(name=name, params=params), REGISTRY.context())
    return np.array([sampler.draw(users, count, seed=seed) for seed in range(draws)])


def test_random_users_come_alike_or_by_the_length_of_their_history():
    users = TaskUsers(np.array([1, 2, 4, 16]), lambda: VECTORS, lambda: LOSSES)
    alike = np.bincount(drawn("random", 1, users, 6000).ravel(), minlength=4) / 6000
    np.testing.assert_allclose(alike, [0, 1 / 3, 1 / 3, 1 / 3], atol=0.03)
    by_length = np.bincount(drawn("random", 1, users, 6000, length_exponent=0.5).ravel(), minlength=4) / 6000
    np.testing.assert_allclose(by_length, np.sqrt([0, 2, 4, 16]) / np.sqrt([2, 4, 16]).sum(), atol=0.03)


def test_a_block_holds_nobody_twice_where_there_are_enough():
    for name in ("random", "hard", "nearest"):
        assert all(len(set(block)) == 20 for block in drawn(name, 20, draws=20)), name


def test_the_near_part_of_a_block_is_of_one_kind():
    for block in drawn("nearest", 5, near=1.0):
        assert len(set(KIND[block])) == 1
    mixed = drawn("nearest", 10, near=0.5, draws=50)
    assert all(len(set(KIND[block[:5]])) == 1 for block in mixed)
    assert any(len(set(KIND[block[5:]])) > 1 for block in mixed)


def test_rare_kinds_come_as_often_as_common_ones():
    share = np.bincount(KIND[drawn("clustered", 8, clusters=3).ravel()]) / 3200
    np.testing.assert_allclose(share, [1 / 3] * 3, atol=0.04)


@pytest.mark.parametrize("power", [0.5, 2.0])
def test_hard_users_come_by_the_rank_of_their_loss(power):
    share = np.bincount(drawn("hard", 1, draws=20_000, power=power).ravel(), minlength=60) / 20_000
    expected = np.arange(1, 61) ** power / (np.arange(1, 61) ** power).sum()
    np.testing.assert_allclose(share, expected, atol=0.006)
