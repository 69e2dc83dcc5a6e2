"""Content profiles: for each user a linear model of what is taken, learnt from the features of the history."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.linalg import solve_triangular
from scipy.special import expit

from recsmith.contracts.config import Config
from recsmith.contracts.content import ItemContent
from recsmith.contracts.data import BoolArray, DoubleArray, FeatureMatrix, FloatArray, Interactions, Requests, State
from recsmith.contracts.domains import Categorical, Float, Int
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import BuildContext, ModelSpec, Sizes
from recsmith_plugins.blocks.item_features import directions, encoded
from recsmith_plugins.blocks.memory import BASE, chunk_bytes
from recsmith_plugins.blocks.recency import HALF_LIFE, NO_DECAY, weighted_rows

NEGATIVES = 256  # items that stand for all others in the logistic problem
NEWTON_STEPS = 8
LONGEST_STEP = 3.0  # in logits: from afar Newton's step overshoots


class ContentProfileConfig(Config):
    """Settings. `dim` is how many directions of wider features are told apart; see `ContentProfile`.

    An interaction weighs 1 + `alpha`, every other item 1. `l2` is the penalty on the profile, for unit rows.
    """

    content: ItemContent = ItemContent()
    kind: Annotated[str, Categorical(("ridge", "logistic"))] = "ridge"
    dim: Annotated[int, Int(16, 512, log=True)] = 256
    alpha: Annotated[float, Float(0.01, 100.0, log=True)] = 1.0
    l2: Annotated[float, Float(0.1, 1000.0, log=True)] = 5.0
    history_half_life: Annotated[float, HALF_LIFE] = NO_DECAY  # in interactions; at the upper end off


@dataclass
class ContentProfile:
    """Score of an item: its features times the user's profile, which is solved for at every request.

    "ridge" regresses 1 for the items taken and 0 for all others on features and a constant, over all items that
    anybody took: w = (F'F + alpha F_u'RF_u + l2)^-1 (1 + alpha) F_u'R 1, where R has the recency of each item taken:
    one that has aged to r counts as r parts taken and 1 - r parts not. It is solved for one coefficient per item taken,
    with the kernel f (F'F + l2)^-1 f'. F'F is taken by its `dim` strongest directions; beyond them it counts as 0, so
    what is rare in wide features stays in the profile.

    "logistic" maximises the penalised likelihood of the items taken against a fixed sample of 256 items that stands for
    all (whoever took one of them is not told apart), by Newton steps, in the `dim` strongest directions alone.

    Memory, in bytes: for each item 16 for each of its W stored numbers and 40 for each of D directions, 48 for each
    pair of items in the longest history, fourteen times the scores of a chunk, and `BASE`.
    """

    config: ContentProfileConfig
    encoded: FeatureMatrix | None  # [I, F] as the encoders gave it
    items: int
    directions: FloatArray = field(default_factory=lambda: np.zeros((0, 0), np.float32))  # [F, D]
    turned: DoubleArray = field(default_factory=lambda: np.zeros((1, 1)))  # [D + 1, D + 1] (F'F + l2)^(-1/2)
    others: DoubleArray = field(default_factory=lambda: np.zeros(0))  # [I] weights of the items not taken, logistic
    ordered: bool = False
    prepared: _Rows | None = None

    def fit(self, interactions: Interactions) -> None:
        """Find the strongest directions of the features and their products."""
        known = interactions.counts > 0
        features = encoded(self.encoded, interactions.items)
        self.directions = directions(features, known, self.config.dim)
        self.others = _sampled(known)
        self.ordered = interactions.ordered
        rows = _reduced(features, self.directions)[known]
        root = np.linalg.cholesky(rows.T @ rows + self.config.l2 * np.eye(rows.shape[1]))
        self.turned = np.ascontiguousarray(solve_triangular(root, np.eye(len(root)), lower=True).T)
        self.prepared = None

    def _rows(self) -> _Rows:
        if self.prepared is None:
            features = encoded(self.encoded, self.items)
            reduced = _reduced(features, self.directions)
            rest = 1.0 / self.config.l2 if features.shape[1] > self.config.dim else 0.0
            self.prepared = _Rows(features, reduced, reduced @ self.turned, rest)
        return self.prepared

    def scores(self, requests: Requests) -> FloatArray:
        """Products of profiles and features, [B, I]; 0 for an empty history."""
        half_life = self.config.history_half_life if self.ordered else NO_DECAY
        weights = weighted_rows(requests.histories, self.items, half_life)
        return self._ridge(weights) if self.config.kind == "ridge" else self._logistic(weights)

    def _ridge(self, weights: sparse.csr_array) -> FloatArray:
        """(1 + alpha) r^(1/2) (1 + alpha R^(1/2) K R^(1/2))^-1 r^(1/2) for each item taken, then its kernel."""
        alpha, rows = self.config.alpha, self._rows()
        found = np.empty(weights.nnz)
        for user in range(weights.shape[0]):
            cells = slice(weights.indptr[user], weights.indptr[user + 1])
            root = np.sqrt(weights.data[cells].astype(np.float64))
            system = alpha * root[:, None] * rows.kernel(weights.indices[cells]) * root
            system[np.diag_indices_from(system)] += 1.0
            found[cells] = (1.0 + alpha) * root * np.linalg.solve(system, root)
        return rows.products(sparse.csr_array((found, weights.indices, weights.indptr), shape=weights.shape))

    def _logistic(self, weights: sparse.csr_array) -> FloatArray:
        rows = self._rows().reduced
        sample = np.flatnonzero(self.others)
        found = np.zeros((weights.shape[0], rows.shape[1]))
        for user in np.flatnonzero(np.diff(weights.indptr)):
            cells = slice(weights.indptr[user], weights.indptr[user + 1])
            recency = (1.0 + self.config.alpha) * weights.data[cells].astype(np.float64)
            every = np.concatenate([rows[weights.indices[cells]], rows[sample]])
            signs = np.concatenate([np.ones(len(recency)), -np.ones(len(sample))])
            found[user] = _logistic(every, signs, np.concatenate([recency, self.others[sample]]), self.config.l2)
        return (found @ rows.T).astype(np.float32)

    def state(self) -> State:
        """The directions and their products; the features come with the build."""
        arrays: dict[str, npt.NDArray[Any]] = {
            "directions": self.directions,
            "turned": self.turned,
            "others": self.others,
        }
        return State({"ordered": self.ordered}, arrays)

    def load(self, state: State) -> None:
        """Take directions and products."""
        self.directions, self.turned = state.arrays["directions"], state.arrays["turned"]
        self.others = state.arrays["others"]
        self.ordered = bool(state.values["ordered"])
        self.prepared = None


@dataclass(frozen=True, eq=False)
class _Rows:
    """Every item's features, and their kernel: in the strongest directions, and with weight `rest` in all others."""

    features: Any  # [I, F] unit rows
    reduced: DoubleArray  # [I, D + 1], the last a constant
    turned: DoubleArray  # [I, D + 1], their coordinates in which F'F + l2 is the identity
    rest: float  # 0 where there are no others

    def kernel(self, items: npt.NDArray[Any]) -> DoubleArray:
        """Between some items, [n, n]."""
        turned = self.turned[items]
        found: DoubleArray = turned @ turned.T
        if self.rest:
            features, reduced = self.features[items], self.reduced[items, :-1]
            whole = features @ features.T
            found += self.rest * ((whole if isinstance(whole, np.ndarray) else whole.toarray()) - reduced @ reduced.T)
        return found

    def products(self, coefficients: sparse.csr_array) -> FloatArray:
        """Coefficients [B, I] times the kernel of their items and all others, [B, I]."""
        found = (coefficients @ self.turned) @ self.turned.T
        if self.rest:
            reduced = self.reduced[:, :-1]
            whole = (coefficients @ self.features) @ self.features.T
            dense = whole if isinstance(whole, np.ndarray) else whole.toarray()
            found += self.rest * (dense - (coefficients @ reduced) @ reduced.T)
        return np.asarray(found, np.float32)


def _reduced(features: Any, along: FloatArray) -> DoubleArray:
    """The features along some directions, and a constant 1, [I, D + 1]."""
    rows = np.asarray(features @ along, np.float64)
    return np.concatenate([rows, np.ones((len(rows), 1))], axis=1)


def _sampled(known: BoolArray) -> DoubleArray:
    """Weights of a fixed sample of the known items that sum to their number, [I]."""
    items = np.flatnonzero(known)
    drawn = np.random.default_rng(0).permutation(items)[:NEGATIVES]
    weights = np.zeros(len(known))
    weights[drawn] = len(items) / max(len(drawn), 1)
    return weights


def _logistic(rows: DoubleArray, signs: DoubleArray, weights: DoubleArray, l2: float) -> DoubleArray:
    """The w [D] of least sum weights log(1 + exp(-signs rows w)) + l2 |w|^2 / 2; the last, a constant, is free."""
    penalty = np.full(rows.shape[1], l2)
    penalty[-1] = 1e-6
    positive = signs > 0
    found = np.zeros(rows.shape[1])
    found[-1] = np.log(weights[positive].sum() / max(weights[~positive].sum(), 1e-12))
    for _ in range(NEWTON_STEPS):
        wrong = expit(-signs * (rows @ found))  # the likelihood that is missing
        gradient = rows.T @ (weights * signs * wrong) - penalty * found
        curvature = weights * wrong * (1.0 - wrong)
        step = np.linalg.solve((rows.T * curvature) @ rows + np.diag(penalty), gradient)
        longest = float(np.abs(rows @ step).max())
        found += step * min(1.0, LONGEST_STEP / max(longest, 1e-12))
    return found


def build(config: ContentProfileConfig, context: BuildContext) -> ContentProfile:
    """An unfitted model."""
    return ContentProfile(config, context.item_features, context.items)


def memory(config: ContentProfileConfig, sizes: Sizes) -> float:
    """Bytes at most: see `ContentProfile`."""
    D = min(config.dim, sizes.features) + 1
    longest = min(sizes.longest, sizes.items)
    items = (16 * sizes.width + 40 * D) * sizes.items
    return BASE + items + 48 * longest**2 + 14 * chunk_bytes(sizes)


@hookimpl
def provide_models() -> list[ModelSpec]:
    """Content profiles."""
    spec = ModelSpec(
        name="content_profile",
        api_version=1,
        config=ContentProfileConfig,
        needs=frozenset({"item_features"}),
        offers=frozenset({"ranking", "new_users", "new_items"}),
        source=(
            "Pazzani and Billsus 2007, Content-Based Recommendation Systems, doi:10.1007/978-3-540-72079-9_10; Hu, "
            "Koren and Volinsky 2008, doi:10.1109/ICDM.2008.22 (all items as negatives)"
        ),
        build=build,
        training="closed_form",
        memory=memory,
    )
    return [spec]
