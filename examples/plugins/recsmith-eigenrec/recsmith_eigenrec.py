"""EigenRec: a scikit-learn-style estimator in plain numpy, and the plugin that lets it compete in a study."""

from dataclasses import dataclass, field, replace
from typing import Annotated, Self

import numpy as np
from scipy import sparse

from recsmith.contracts.config import Config
from recsmith.contracts.data import DoubleArray, FloatArray, Interactions, Requests, State
from recsmith.contracts.domains import Float, Int
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import ModelSpec


class TruncatedSVD:
    """Truncated SVD of a matrix, users x items, by subspace iteration. It knows nothing of recsmith.

    `components_` [D, I] are the leading right singular vectors, each with a positive sum (Halko et al. 2011).
    """

    def __init__(self, n_components: int = 32, n_iter: int = 10, random_state: int = 0) -> None:
        self.n_components, self.n_iter, self.random_state = n_components, n_iter, random_state

    def fit(self, X: sparse.csr_array) -> Self:
        """Find the components of X [U, I]."""
        rank, width = (min(wanted, *X.shape) for wanted in (self.n_components, self.n_components + 10))
        basis = np.random.default_rng(self.random_state).standard_normal((X.shape[1], width))
        for _ in range(self.n_iter):
            basis = np.linalg.qr(X.T @ (X @ basis)).Q
        rows = np.linalg.svd(X @ basis, full_matrices=False).Vh[:rank] @ basis.T
        self.components_: DoubleArray = rows * np.where(rows.sum(axis=1, keepdims=True) < 0, -1, 1)
        return self

    def predict(self, X: sparse.csr_array) -> DoubleArray:
        """The rows of X [B, I] projected onto the components, [B, I]."""
        return np.asarray((X @ self.components_.T) @ self.components_)


class EigenRecConfig(Config):
    """Settings: what the search may choose."""

    factors: Annotated[int, Int(4, 256, log=True)] = 32
    popularity: Annotated[float, Float(0.0, 1.2)] = 0.6  # columns are divided by count ** ((1 - popularity) / 2)
    half_life: Annotated[float, Float(0.5, 1000.0, log=True)] = 3.0  # of a request's items, in interactions


@dataclass
class EigenRecModel:
    """The estimator behind the platform's protocol: histories in, scores out, state as arrays."""

    config: EigenRecConfig
    seed: int
    estimator: TruncatedSVD = field(default_factory=TruncatedSVD)
    scale: DoubleArray = field(default_factory=lambda: np.zeros(0))  # [I]
    ordered: bool = False

    def fit(self, interactions: Interactions) -> None:
        """Fit the estimator to the 0/1 matrix, its columns scaled."""
        self.ordered = interactions.ordered
        self.scale = np.maximum(interactions.counts, 1) ** ((self.config.popularity - 1) / 2)
        factors = min(self.config.factors, max(1, interactions.items // 8))  # near I, every history would come back
        matrix = interactions.histories.matrix(interactions.items) * self.scale  # [U, I]
        self.estimator = TruncatedSVD(factors, random_state=self.seed).fit(matrix.tocsr())

    def scores(self, requests: Requests) -> FloatArray:
        """The projected histories, [B, I]; where order means something, newer items weigh more."""
        asked = requests.histories
        age = asked.indptr[asked.rows + 1] - 1 - np.arange(len(asked.item_num))
        weight = np.exp2(-age / (self.config.half_life if self.ordered else np.inf)).astype(np.float32)
        rows = replace(asked, weight=weight).matrix(len(self.scale), weighted=True)
        return self.estimator.predict((rows * self.scale).tocsr()).astype(np.float32)

    def state(self) -> State:
        """What the estimator learnt, by name."""
        return State({"ordered": self.ordered}, {"components": self.estimator.components_, "scale": self.scale})

    def load(self, state: State) -> None:
        """Take it back."""
        self.ordered, self.scale = bool(state.values["ordered"]), state.arrays["scale"]
        self.estimator.components_ = state.arrays["components"]


@hookimpl
def provide_models() -> list[ModelSpec]:
    """EigenRec."""
    spec = ModelSpec(
        name="eigenrec",
        api_version=1,
        config=EigenRecConfig,
        offers=frozenset({"ranking", "new_users"}),
        source="Nikolakopoulos et al. 2019, doi:10.1007/s10115-018-1197-7; PureSVD: Cremonesi et al. 2010",
        build=lambda config, context: EigenRecModel(config, context.seed),
        training="closed_form",
    )
    return [spec]
