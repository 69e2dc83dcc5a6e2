"""EASE: one linear item-to-item matrix, fitted in closed form with a zero diagonal."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

import numpy as np

from recsmith.contracts.config import Config
from recsmith.contracts.data import FloatArray, Interactions, Requests, State
from recsmith.contracts.domains import Float
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import BuildContext, ModelSpec, Sizes
from recsmith_plugins.blocks.gram_inverse import gram_inverse, squared_bytes
from recsmith_plugins.blocks.recency import HALF_LIFE, NO_DECAY, weighted_rows


class EASEConfig(Config):
    """Settings. `l2` is added to the diagonal of the matrix that counts the users whom two items share."""

    l2: Annotated[float, Float(1.0, 10_000.0, log=True)] = 500.0
    history_half_life: Annotated[float, HALF_LIFE] = 3.0  # in interactions; at the upper end off


@dataclass
class EASE:
    """Scores are history x B, where B minimises |X - XB|^2 + l2 |B|^2 with diag(B) = 0 (Steck 2019, equation 8).

    Memory: 12 bytes x I squared, 24 bytes x interactions and 0.2 GB, as in `gram_inverse.squared_bytes`.
    """

    config: EASEConfig
    weights: FloatArray = field(default_factory=lambda: np.zeros((0, 0), np.float32))  # B, [I, I]
    ordered: bool = False

    def fit(self, interactions: Interactions) -> None:
        """B = -P / diag(P) off the diagonal, P the inverse of X'X + l2."""
        taken = interactions.histories.matrix(interactions.items)
        weights, diagonal = gram_inverse(taken, self.config.l2)
        weights /= -diagonal.astype(np.float32)
        np.fill_diagonal(weights, 0.0)
        self.weights = weights
        self.ordered = interactions.ordered

    def scores(self, requests: Requests) -> FloatArray:
        """The recency-weighted history times B, [B, I]."""
        half_life = self.config.history_half_life if self.ordered else NO_DECAY
        return np.asarray(weighted_rows(requests.histories, len(self.weights), half_life) @ self.weights)

    def state(self) -> State:
        """B, and whether order means something."""
        return State({"ordered": self.ordered}, {"weights": self.weights})

    def load(self, state: State) -> None:
        """Take B."""
        self.weights = state.arrays["weights"]
        self.ordered = bool(state.values["ordered"])


def build(config: EASEConfig, context: BuildContext) -> EASE:
    """An unfitted model."""
    return EASE(config)


def memory(config: EASEConfig, sizes: Sizes) -> float:
    """See `EASE`."""
    return squared_bytes(sizes)


@hookimpl
def provide_models() -> list[ModelSpec]:
    """EASE."""
    spec = ModelSpec(
        name="ease",
        api_version=1,
        config=EASEConfig,
        needs=frozenset({"small_catalogue"}),
        offers=frozenset({"ranking", "new_users"}),
        source=("Steck 2019, Embarrassingly Shallow Autoencoders for Sparse Data, https://arxiv.org/abs/1905.03375"),
        build=build,
        training="closed_form",
        memory=memory,
    )
    return [spec]
