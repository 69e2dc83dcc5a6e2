"""EASE: one linear item-to-item matrix, fitted in closed form with a zero diagonal."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

import numpy as np
from scipy.linalg import lapack

from recsmith.contracts.config import Config
from recsmith.contracts.data import DoubleArray, FloatArray, Interactions, Requests, State
from recsmith.contracts.domains import Float
from recsmith.contracts.errors import DataError
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import BuildContext, ModelSpec
from recsmith_plugins.blocks.recency import HALF_LIFE, NO_DECAY, weighted_rows

LARGEST_CATALOGUE = 20_000  # items; fitting needs BYTES x I squared, 6.4 GB at this size
BYTES = 16  # the inverse as float64, B as float32, and a copy of B while its halves are joined


class EASEConfig(Config):
    """Settings. `l2` is added to the diagonal of the matrix that counts the users whom two items share."""

    l2: Annotated[float, Float(1.0, 10_000.0, log=True)] = 500.0
    history_half_life: Annotated[float, HALF_LIFE] = 3.0  # in interactions; at the upper end off


def _inverse(gram: DoubleArray) -> DoubleArray:
    """The lower triangle of the inverse of a positive definite matrix, in the argument's own memory."""
    factor, failed = lapack.dpotrf(gram, lower=1, overwrite_a=1)
    if failed:
        raise DataError("ease: the item matrix is not positive definite. Raise l2.")
    inverse: DoubleArray = lapack.dpotri(factor, lower=1, overwrite_c=1)[0]
    return inverse


@dataclass
class EASE:
    """Scores are history x B, where B minimises |X - XB|^2 + l2 |B|^2 with diag(B) = 0 (Steck 2019, equation 8)."""

    config: EASEConfig
    weights: FloatArray = field(default_factory=lambda: np.zeros((0, 0), np.float32))  # B, [I, I]
    ordered: bool = False

    def fit(self, interactions: Interactions) -> None:
        """B = -P / diag(P) off the diagonal, P the inverse of X'X + l2."""
        taken = interactions.histories.matrix(interactions.items)
        gram = (taken.T @ taken).toarray(order="F").astype(np.float64)  # counts of users: exact up to 16 million
        gram[np.diag_indices_from(gram)] += self.config.l2
        inverse = _inverse(gram)
        diagonal = inverse.diagonal().copy()
        weights = np.tril(inverse.astype(np.float32), -1)
        del inverse, gram
        weights += weights.T
        weights /= -diagonal[None, :].astype(np.float32)
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
    """An unfitted model.

    Raises:
        DataError: the catalogue is too large for a dense item-to-item matrix.
    """
    if context.items > LARGEST_CATALOGUE:
        gigabytes = BYTES * context.items**2 / 1e9
        raise DataError(
            f"ease: {context.items:,} items need {gigabytes:.0f} GB for a dense item-to-item matrix, and at most "
            f"{LARGEST_CATALOGUE:,} are taken. Use item_knn or ials, or filter rare items out of the log."
        )
    return EASE(config)


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
    )
    return [spec]
