"""What every plugin of the kind task_samplers promises."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, cast

import numpy as np

from recsmith.contracts.tasks import TaskUsers
from recsmith.testing.conformance.chance import other_random_states
from recsmith.testing.conformance.subject import bits, expect, unchanged

if TYPE_CHECKING:
    from recsmith.contracts.config import Choice
    from recsmith.contracts.data import LongArray
    from recsmith.contracts.tasks import TaskSampler
    from recsmith.testing.conformance.subject import Subject

USERS = 400


def draws_are_users(subject: Subject) -> None:
    """A draw holds exactly `count` user numbers, a numpy array [count] of int64."""
    for label, choice in subject.corners():
        for count in (1, 32):
            drawn = _build(subject, choice).draw(_users(), count, seed=0)
            expect(isinstance(drawn, np.ndarray), f"{label}: the draw is {type(drawn).__name__}, not a numpy array")
            expect(drawn.dtype == np.int64, f"{label}: the draw is {drawn.dtype}, not int64")
            _expect_users(drawn, count, USERS, label)


def users_without_history_are_never_drawn(subject: Subject) -> None:
    """Users without two interactions are never drawn: they have nothing to adapt from, or to be judged on."""
    lengths = _lengths()
    for label, choice in subject.corners():
        sampler = _build(subject, choice)
        drawn = np.concatenate([sampler.draw(_users(), 64, seed=seed) for seed in range(20)])
        short = drawn[lengths[drawn] < 2]  # noqa: PLR2004 - one to adapt on and one to be judged on
        expect(not len(short), f"{label}: user {short[:1].tolist()} was drawn, whose history is too short")


def follows_the_seed_alone(subject: Subject) -> None:
    """Equal seeds give equal draws, others other ones, whatever was drawn before and other sources of chance hold."""
    for label, choice in subject.corners():
        sampler = _build(subject, choice)
        first, other, again = (bits(sampler.draw(_users(), 64, seed=seed)) for seed in (3, 4, 3))
        expect(first == again, f"{label}: the same seed gave two different draws: keep nothing between draws")
        expect(first != other, f"{label}: two seeds gave the same draw: draw by `seed`")
        with other_random_states():
            elsewhere = bits(_build(subject, choice).draw(_users(), 64, seed=3))
        expect(first == elsewhere, f"{label}: the draw depends on torch.manual_seed, numpy.random or random")


def serves_every_count(subject: Subject) -> None:
    """`count` users are drawn also where there are fewer: then some come more than once."""
    for label, choice in subject.corners():
        for lengths in ([4], [0, 1, 0], [2] * 7):
            for count in (1, 20):
                drawn = _build(subject, choice).draw(_users(np.array(lengths, np.int64)), count, seed=0)
                _expect_users(drawn, count, len(lengths), f"{label}, history lengths {lengths}")


def leaves_what_it_was_given(subject: Subject) -> None:
    """Drawing does not write into what is known of the users."""
    for _, choice in subject.corners():
        users, sampler = _users(), _build(subject, choice)
        given = (users.lengths, users.vectors(), users.losses())
        unchanged(given, partial(sampler.draw, users, 32, seed=0), "the users' lengths, vectors or losses")


CHECKS = (
    draws_are_users,
    users_without_history_are_never_drawn,
    follows_the_seed_alone,
    serves_every_count,
    leaves_what_it_was_given,
)


def _build(subject: Subject, choice: Choice) -> TaskSampler:
    context = subject.registry.context(item_counts=np.ones(30, np.int64), users=USERS)
    return cast("TaskSampler", subject.registry.build(subject.kind, choice, context))


def _lengths() -> LongArray:
    """History lengths [U]: many short ones, a few long ones, and every third empty."""
    lengths = np.random.default_rng(0).geometric(0.1, USERS).astype(np.int64)
    lengths[::3] = 0
    return lengths


def _users(lengths: LongArray | None = None) -> TaskUsers:
    """Users of two kinds, whose vectors tell them apart; those of every fourth number are hard."""
    known = _lengths() if lengths is None else lengths
    rng = np.random.default_rng(1)
    kind = np.arange(len(known)) % 2
    vectors = (rng.normal(0.0, 0.1, (len(known), 3)) + kind[:, None]).astype(np.float32)
    losses = np.where(np.arange(len(known)) % 4 == 0, 3.0, 1.0).astype(np.float32)
    return TaskUsers(known, lambda: vectors, lambda: losses)


def _expect_users(drawn: LongArray, count: int, users: int, where: str) -> None:
    expect(drawn.shape == (count,), f"{where}: the draw is {[*drawn.shape]}, not [{count}]")
    low, high = drawn.min(), drawn.max()
    expect(low >= 0 and high < users, f"{where}: drew users {low} to {high}, the log holds 0 to {users - 1}")
