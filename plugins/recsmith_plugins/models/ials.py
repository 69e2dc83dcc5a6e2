"""Implicit ALS (iALS): matrix factorisation of implicit feedback by alternating least squares."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

import numpy as np

from recsmith.contracts.config import Config
from recsmith.contracts.data import ABSENT, DoubleArray, FloatArray, Histories, Interactions, Requests, State
from recsmith.contracts.domains import Categorical, Float, Int
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import BuildContext, ModelSpec, Sizes
from recsmith_plugins.blocks.implicit_factors import alternate, confidence, fold_in
from recsmith_plugins.blocks.memory import BASE, chunk_bytes

if TYPE_CHECKING:
    from scipy import sparse


class IALSConfig(Config):
    """Settings. The confidence of an interaction is 1 + alpha x weight; `regularization` is the factors' L2 penalty."""

    factors: Annotated[int, Int(8, 256, log=True)] = 64
    regularization: Annotated[float, Float(1e-3, 1e3, log=True)] = 10.0
    alpha: Annotated[float, Float(0.1, 100.0, log=True)] = 1.0
    iterations: Annotated[int, Int(5, 30)] = 15
    weighted: Annotated[bool, Categorical((False, True))] = False  # repeats and the weights of events count


def _no_factors() -> FloatArray:
    return np.zeros((0, 0), np.float32)


@dataclass
class IALS:
    """Scores are user factors x item factors.

    Known users with their training history have stored factors. All others are folded in: the least-squares problem
    that gave the stored ones is solved for their history, so a new user is served like a known one.

    Memory, in bytes: 20 for each interaction (the confidences, by user and by item), 8 D for each user, 16 D for each
    item, 64 D^2 to solve for one user, thrice the scores of a chunk, and `BASE`.
    """

    config: IALSConfig
    seed: int
    users: FloatArray = field(default_factory=_no_factors)  # [U, D]
    items: FloatArray = field(default_factory=_no_factors)  # [I, D]

    def fit(self, interactions: Interactions) -> None:
        """Alternate between users and items, then solve once more for the users, exactly."""
        self.users, self.items = alternate(
            self._confidence(interactions.histories, interactions.items),
            factors=self.config.factors,
            regularization=self.config.regularization,
            iterations=self.config.iterations,
            seed=self.seed,
        )

    def _confidence(self, histories: Histories, items: int) -> sparse.csr_array:
        return confidence(histories, items, self.config.alpha, weighted=self.config.weighted)

    def scores(self, requests: Requests) -> FloatArray:
        """Products of user and item factors, [B, I]."""
        stored = (requests.user_num != ABSENT) & requests.histories_are_training
        factors = np.empty((len(requests), self.items.shape[1]), np.float32)
        factors[stored] = self.users[requests.user_num[stored]]
        factors[~stored] = self._fold_in(requests.histories.take(np.flatnonzero(~stored)))
        return factors @ self.items.T

    def _fold_in(self, histories: Histories) -> DoubleArray:
        """Factors of every list, [B, D]."""
        items = self.items.astype(np.float64)
        gram = items.T @ items + self.config.regularization * np.eye(items.shape[1])
        return fold_in(self._confidence(histories, len(items)), items, gram)

    def state(self) -> State:
        """The factors of users and items."""
        return State(arrays={"users": self.users, "items": self.items})

    def load(self, state: State) -> None:
        """Take the factors."""
        self.users, self.items = state.arrays["users"], state.arrays["items"]


def build(config: IALSConfig, context: BuildContext) -> IALS:
    """An unfitted model."""
    return IALS(config, context.seed)


def memory(config: IALSConfig, sizes: Sizes) -> float:
    """Bytes at most: see `IALS`."""
    D = config.factors
    factors = 8 * D * sizes.users + 16 * D * sizes.items + 64 * D**2
    return BASE + 20 * sizes.interactions + factors + 3 * chunk_bytes(sizes)


@hookimpl
def provide_models() -> list[ModelSpec]:
    """Factorisation by iALS."""
    spec = ModelSpec(
        name="ials",
        api_version=1,
        config=IALSConfig,
        offers=frozenset({"ranking", "new_users"}),
        source=(
            "Hu, Koren and Volinsky 2008, Collaborative Filtering for Implicit Feedback Datasets, "
            "doi:10.1109/ICDM.2008.22"
        ),
        build=build,
        training="closed_form",
        memory=memory,
    )
    return [spec]
