"""Bias model for ratings: the overall mean, plus how generous the user and how well liked the item is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

import numpy as np

from recsmith.contracts.config import Config
from recsmith.contracts.data import ABSENT, DoubleArray, FloatArray, Histories, Interactions, Requests, State
from recsmith.contracts.domains import Float
from recsmith.contracts.errors import DataError
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import BuildContext, ModelSpec

SWEEPS = 10  # of alternating between items and users; the objective is convex and settles in a few


class BiasConfig(Config):
    """Settings: how many ratings of zero offset each user and each item is credited with."""

    user_damping: Annotated[float, Float(0.1, 100.0, log=True)] = 5.0
    item_damping: Annotated[float, Float(0.1, 100.0, log=True)] = 5.0


def _damped_means(group: np.ndarray, residuals: DoubleArray, size: int, damping: float) -> DoubleArray:
    """Sum of the residuals of each group over its count plus `damping`, [size]: the ridge solution."""
    count = np.bincount(group, minlength=size)
    return np.bincount(group, residuals, minlength=size) / (count + damping)


def _offsets() -> DoubleArray:
    return np.zeros(0)


@dataclass
class Bias:
    """Predicts mean + user offset + item offset, cut to the range of ratings seen in training.

    Minimises sum (r - mean - b_u - b_i)^2 + user_damping |b_u|^2 + item_damping |b_i|^2. The offset of a user follows
    in closed form from the ratings of the request's history; the stored one serves requests without ratings.
    """

    config: BiasConfig
    mean: float = 0.0
    low: float = 0.0
    high: float = 0.0
    users: DoubleArray = field(default_factory=_offsets)  # [U]
    items: DoubleArray = field(default_factory=_offsets)  # [I]

    def fit(self, interactions: Interactions) -> None:
        """Alternate between the closed forms of items and users.

        Raises:
            DataError: the rows have no ratings.
        """
        histories = interactions.histories
        if histories.value is None or not len(histories.value):
            raise DataError("bias: the log has no ratings. Name its rating column as `value`, or leave bias out.")
        ratings = histories.value.astype(np.float64)
        self.mean, self.low, self.high = float(ratings.mean()), float(ratings.min()), float(ratings.max())
        self.users = np.zeros(interactions.users)
        for _ in range(SWEEPS):
            residuals = ratings - self.mean - self.users[histories.rows]
            self.items = _damped_means(histories.item_num, residuals, interactions.items, self.config.item_damping)
            self.users = self._user_offsets(histories, histories.value)

    def _user_offsets(self, histories: Histories, ratings: FloatArray) -> DoubleArray:
        residuals = ratings - self.mean - self.items[histories.item_num]
        return _damped_means(histories.rows, residuals, len(histories), self.config.user_damping)

    def scores(self, requests: Requests) -> FloatArray:
        """Predicted ratings, [B, I]."""
        offsets = np.zeros(len(requests))
        known = requests.user_num != ABSENT
        offsets[known] = self.users[requests.user_num[known]]
        histories = requests.histories
        if histories.value is not None:
            offsets = np.where(histories.lengths > 0, self._user_offsets(histories, histories.value), offsets)
        ratings = self.mean + offsets[:, None] + self.items[None, :]
        return np.clip(ratings, self.low, self.high).astype(np.float32)

    def state(self) -> State:
        """The mean, the range and the offsets."""
        return State(
            {"mean": self.mean, "low": self.low, "high": self.high}, {"users": self.users, "items": self.items}
        )

    def load(self, state: State) -> None:
        """Take the mean, the range and the offsets."""
        self.mean, self.low, self.high = (float(state.values[name]) for name in ("mean", "low", "high"))
        self.users, self.items = state.arrays["users"], state.arrays["items"]


def build(config: BiasConfig, context: BuildContext) -> Bias:
    """An unfitted model."""
    return Bias(config)


@hookimpl
def provide_models() -> list[ModelSpec]:
    """The bias model."""
    spec = ModelSpec(
        name="bias",
        api_version=1,
        config=BiasConfig,
        needs=frozenset({"values"}),
        offers=frozenset({"ratings", "new_users"}),
        source=(
            "Koren 2010, Factor in the Neighbors: Scalable and Accurate Collaborative Filtering (baseline estimates), "
            "doi:10.1145/1644873.1644874"
        ),
        build=build,
        training="closed_form",
    )
    return [spec]
