"""Models that are one matrix of weights from the items of a history to the items that they speak for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from recsmith.contracts.data import State
from recsmith_plugins.blocks.recency import NO_DECAY, weighted_rows
from recsmith_plugins.blocks.sparse_state import empty, pack, unpack

if TYPE_CHECKING:
    from collections.abc import Callable

    from recsmith.contracts.data import FeatureMatrix, FloatArray, Interactions, Requests

SCORED = 0.2e9  # bytes at most to score a chunk: 32 MB of scores, before that as a sparse matrix and its parts


@dataclass
class ItemToItem:
    """Score of item j: the sum of the weights to j of the items of the history, each as recent as it is."""

    learn: Callable[[Interactions], FeatureMatrix]  # the weights, float32 [I, I]: row i speaks for item i
    half_life: float  # in interactions; from NO_DECAY off, and wherever order means nothing
    weights: FeatureMatrix = field(default_factory=empty)
    ordered: bool = False

    def fit(self, interactions: Interactions) -> None:
        """Learn the weights."""
        self.weights = self.learn(interactions)
        self.ordered = interactions.ordered

    def scores(self, requests: Requests) -> FloatArray:
        """The recency-weighted history times the weights, [B, I]."""
        half_life = self.half_life if self.ordered else NO_DECAY
        found: FeatureMatrix = weighted_rows(requests.histories, self.weights.shape[0], half_life) @ self.weights
        return found if isinstance(found, np.ndarray) else found.toarray()

    def state(self) -> State:
        """The weights, and whether order means something."""
        return State({"ordered": self.ordered}, pack("weights", self.weights))

    def load(self, state: State) -> None:
        """Take the weights."""
        self.weights = unpack("weights", state.arrays)
        self.ordered = bool(state.values["ordered"])
