"""PureSVD: project the history on the directions in which the log varies most."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

import numpy as np
from scipy import sparse
from sklearn.utils.extmath import randomized_svd

from recsmith.contracts.config import Config
from recsmith.contracts.data import FloatArray, Interactions, Requests, State
from recsmith.contracts.domains import Categorical, Float, Int
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import BuildContext, ModelSpec, Sizes
from recsmith_plugins.blocks.recency import HALF_LIFE, NO_DECAY, weighted_rows

SHARE = 0.25  # of the users or items, whichever are fewer
OVERSAMPLES = 10  # further directions that the randomised method works with and then drops
ITERATIONS = 4  # of powers, in which the directions are told apart


class PureSVDConfig(Config):
    """Settings. Factors beyond SHARE of the users or items are left out: all together only give the history back."""

    factors: Annotated[int, Int(4, 512, log=True)] = 100
    scaling: Annotated[float, Float(-1.0, 1.5)] = 0.5  # exponent of the items' lengths; at 1 they are as they are
    weighted: Annotated[bool, Categorical((False, True))] = False  # repeats and the weights of events count
    history_half_life: Annotated[float, HALF_LIFE] = 3.0  # in interactions; at the upper end off


@dataclass
class PureSVD:
    """Scores are history x V V', where V holds the right singular vectors of X of the largest singular values.

    So a new user is served like a known one, and nothing of users is kept. What differs from Cremonesi et al. 2010: X
    has no ratings but 0 and 1, or weights; the columns of X may be scaled to a power of their lengths before, which
    below 1 takes popular items down (EigenRec, Nikolakopoulos et al. 2019, doi:10.1007/s10115-018-1197-7); the recency
    of a history counts where the log has an order; the singular vectors come from a randomised method.

    Memory: 40 bytes x interactions + 16 bytes x (U + I) x (factors + 10) + 0.2 GB.
    """

    config: PureSVDConfig
    seed: int
    items: FloatArray = field(default_factory=lambda: np.zeros((0, 0), np.float32))  # V, [I, D]
    ordered: bool = False

    def fit(self, interactions: Interactions) -> None:
        """Find V."""
        taken = interactions.histories.matrix(interactions.items, weighted=self.config.weighted)
        squares = np.asarray(taken.power(2).sum(axis=0, dtype=np.float64)).ravel()
        factor = np.where(squares > 0, squares, 1.0) ** ((self.config.scaling - 1.0) / 2.0)
        scaled = sparse.csr_array(
            (taken.data * factor[taken.indices].astype(np.float32), taken.indices, taken.indptr), shape=taken.shape
        )
        _, _, directions = randomized_svd(
            scaled,
            n_components=_factors(self.config, interactions.users, interactions.items),
            n_oversamples=OVERSAMPLES,
            n_iter=ITERATIONS,
            random_state=self.seed,
        )
        self.items = np.ascontiguousarray(directions.T, np.float32)
        self.ordered = interactions.ordered

    def scores(self, requests: Requests) -> FloatArray:
        """The recency-weighted history, projected, [B, I]."""
        half_life = self.config.history_half_life if self.ordered else NO_DECAY
        rows = weighted_rows(requests.histories, len(self.items), half_life)
        return np.asarray((rows @ self.items) @ self.items.T)

    def state(self) -> State:
        """V, and whether order means something."""
        return State({"ordered": self.ordered}, {"items": self.items})

    def load(self, state: State) -> None:
        """Take V."""
        self.items = state.arrays["items"]
        self.ordered = bool(state.values["ordered"])


def _factors(config: PureSVDConfig, users: int, items: int) -> int:
    """D."""
    return max(1, min(config.factors, int(SHARE * min(users, items))))


def build(config: PureSVDConfig, context: BuildContext) -> PureSVD:
    """An unfitted model."""
    return PureSVD(config, context.seed)


def memory(config: PureSVDConfig, sizes: Sizes) -> float:
    """See `PureSVD`."""
    width = _factors(config, sizes.users, sizes.items) + OVERSAMPLES
    return 40.0 * sizes.interactions + 16.0 * (sizes.users + sizes.items) * width + 0.2e9


@hookimpl
def provide_models() -> list[ModelSpec]:
    """PureSVD."""
    spec = ModelSpec(
        name="pure_svd",
        api_version=1,
        config=PureSVDConfig,
        offers=frozenset({"ranking", "new_users"}),
        source=(
            "Cremonesi, Koren and Turrin 2010, Performance of Recommender Algorithms on Top-N Recommendation Tasks, "
            "doi:10.1145/1864708.1864721"
        ),
        build=build,
        training="closed_form",
        memory=memory,
    )
    return [spec]
