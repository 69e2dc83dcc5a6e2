"""The mean of all ratings, and how far each user and each item lies from it: what models of ratings start from."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from recsmith.contracts.data import ABSENT, State
from recsmith.contracts.errors import DataError

if TYPE_CHECKING:
    from recsmith.contracts.data import DoubleArray, FloatArray, Histories, Interactions, LongArray, Requests

SWEEPS = 10  # of alternating between items and users; the objective is convex and settles in a few
OFF = float("inf")  # a damping that holds offsets at 0


def rated(interactions: Interactions, model: str) -> DoubleArray:
    """The ratings of the training rows, [N].

    Raises:
        DataError: there are none.
    """
    value = interactions.histories.value
    if value is None or not len(value):
        raise DataError(f"{model}: the log has no ratings. Name its rating column as `value`, or leave {model} out.")
    return value.astype(np.float64)


def weights_of(histories: Histories, *, weighted: bool) -> DoubleArray:
    """How much each rating counts, [N]: 1, or with `weighted` the weight of its event where the log states any."""
    weights = histories.weight if weighted else None
    return np.ones(len(histories.item_num)) if weights is None else weights.astype(np.float64)


def damped_means(
    group: np.ndarray, residuals: DoubleArray, weights: DoubleArray, size: int, damping: float
) -> DoubleArray:
    """Weighted sum of the residuals of each group over its weight plus `damping`, [size]: the ridge solution."""
    count = np.bincount(group, weights, minlength=size)
    return np.bincount(group, weights * residuals, minlength=size) / (count + damping)


def _none() -> DoubleArray:
    return np.zeros(0)


@dataclass(frozen=True, eq=False)
class Offsets:
    """The scale of the ratings, and the offsets of users and items.

    They minimise sum w (r - mean - b_u - b_i)^2 + user_damping |b_u|^2 + item_damping |b_i|^2, w the weights.
    """

    user_damping: float
    item_damping: float
    weighted: bool
    mean: float = 0.0
    low: float = 0.0
    high: float = 0.0
    users: DoubleArray = field(default_factory=_none)  # [U]
    items: DoubleArray = field(default_factory=_none)  # [I]

    def fitted(self, interactions: Interactions, model: str) -> Offsets:
        """The offsets of the training rows, by alternating between the closed forms of items and users.

        Raises:
            DataError: the rows have no ratings; `model` is told there.
        """
        histories = interactions.histories
        ratings, weights = rated(interactions, model), weights_of(histories, weighted=self.weighted)
        rows: LongArray = histories.rows
        mean = float(np.average(ratings, weights=weights))
        users, items = np.zeros(len(histories)), _none()
        for _ in range(SWEEPS):
            residuals = ratings - mean - users[rows]
            items = damped_means(histories.item_num, residuals, weights, interactions.items, self.item_damping)
            residuals = ratings - mean - items[histories.item_num]
            users = damped_means(rows, residuals, weights, len(histories), self.user_damping)
        low, high = float(ratings.min()), float(ratings.max())
        return replace(self, mean=mean, low=low, high=high, users=users, items=items)

    def of(self, requests: Requests) -> DoubleArray:
        """The users' offsets, [B]: of the ratings in the histories; where there are none, the stored ones or 0."""
        offsets = np.zeros(len(requests))
        known = requests.user_num != ABSENT
        offsets[known] = self.users[requests.user_num[known]]
        histories = requests.histories
        if histories.value is None:
            return offsets
        weights = weights_of(histories, weighted=self.weighted)
        residuals = histories.value - self.mean - self.items[histories.item_num]
        found = damped_means(histories.rows, residuals, weights, len(histories), self.user_damping)
        return np.where(histories.lengths > 0, found, offsets)

    def clipped(self, ratings: DoubleArray | FloatArray) -> FloatArray:
        """Predicted ratings cut to the range of ratings seen in training, as float32."""
        return np.clip(ratings, self.low, self.high).astype(np.float32)

    def state(self) -> State:
        """The mean, the range and the offsets."""
        return State(
            {"mean": self.mean, "low": self.low, "high": self.high}, {"users": self.users, "items": self.items}
        )

    def loaded(self, state: State) -> Offsets:
        """The same with the mean, the range and the offsets of `state`."""
        mean, low, high = (float(state.values[name]) for name in ("mean", "low", "high"))
        return replace(self, mean=mean, low=low, high=high, users=state.arrays["users"], items=state.arrays["items"])
