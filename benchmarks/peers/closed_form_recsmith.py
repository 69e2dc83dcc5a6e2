"""Our closed-form models, as `benchmarks/peers.py` asks for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from closed_form import measure

from recsmith.contracts.config import Choice
from recsmith.contracts.data import Histories, Interactions, Requests
from recsmith.inference.ranking import rank
from recsmith.wiring.plugins import load_plugins

if TYPE_CHECKING:
    from recsmith.contracts.data import FloatArray, IntArray

NO_DECAY = 1000.0  # a half-life that switches the recency of histories off, which the peers do not know


def params(asked: dict[str, Any]) -> dict[str, Any]:
    """The settings of the model that is asked for, in our names."""
    if asked["model"] == "item_knn":
        similarity = {"weighting": "cosine", "shrinkage": 0.0}
        return {
            "neighbours": asked["neighbours"],
            "similarity": similarity,
            "normalise": False,
            "history_half_life": NO_DECAY,
        }
    if asked["model"] == "ease":
        return {"l2": asked["l2"], "history_half_life": NO_DECAY}
    return {name: asked[name] for name in ("factors", "regularization", "alpha", "iterations")}


class Ours:
    """A model of ours, and the ranking that judging, artifacts and the server share."""

    def __init__(self, log: IntArray, asked: dict[str, Any]) -> None:
        user, item = log.T
        indptr = np.concatenate([[0], np.cumsum(np.bincount(user))])
        histories = Histories(indptr, np.ascontiguousarray(item))
        self.k = asked["k"]
        self.interactions = Interactions(histories, len(histories), int(item.max()) + 1, ordered=True)
        registry = load_plugins(only=[f"model.{asked['model']}"]).registry
        context = registry.context(item_counts=self.interactions.counts, users=self.interactions.users)
        self.model = registry.build("models", Choice(name=asked["model"], params=params(asked)), context)

    def fit(self) -> None:
        """Learn."""
        self.model.fit(self.interactions)

    def recommend(self) -> tuple[IntArray, FloatArray]:
        """Items and scores, [U, K] each."""
        users = np.arange(self.interactions.users, dtype=np.int32)
        requests = Requests(users, self.interactions.histories, histories_are_training=True)
        return rank(self.model, requests, self.k, items=self.interactions.items, mask_seen=True)

    def lists(self, recommended: tuple[IntArray, FloatArray]) -> IntArray:
        """The items."""
        return recommended[0]


if __name__ == "__main__":
    measure(Ours)
