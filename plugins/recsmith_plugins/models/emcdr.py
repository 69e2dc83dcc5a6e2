"""EMCDR: factors of each domain by itself, and a bridge from what a user is in one to what she is in the other."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

import numpy as np
from scipy import sparse

from recsmith.contracts.config import Config
from recsmith.contracts.data import BoolArray, DoubleArray, FloatArray, Histories, Interactions, Requests, State
from recsmith.contracts.domains import Categorical, Float, Int
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import BuildContext, ModelSpec, Sizes
from recsmith_plugins.blocks.implicit_factors import alternate, confidence, fold_in
from recsmith_plugins.blocks.memory import BASE, chunk_bytes


class EMCDRConfig(Config):
    """Settings. `prior` is how many interactions in the target domain weigh as much there as the bridge does."""

    factors: Annotated[int, Int(4, 256, log=True)] = 32
    regularization: Annotated[float, Float(1e-2, 1e3, log=True)] = 1.0
    alpha: Annotated[float, Float(0.1, 100.0, log=True)] = 1.0
    iterations: Annotated[int, Int(5, 30)] = 15
    weighted: Annotated[bool, Categorical((False, True))] = False  # repeats and the weights of events count
    bridge_l2: Annotated[float, Float(1e-3, 1e4, log=True)] = 100.0
    prior: Annotated[float, Float(0.1, 100.0, log=True)] = 5.0


@dataclass
class Domain:
    """The factors of one domain's items, and the products that fold a history in."""

    items: FloatArray = field(default_factory=lambda: np.zeros((0, 0), np.float32))  # [I, D], zeros outside
    gram: DoubleArray = field(default_factory=lambda: np.zeros((0, 0)))  # [D, D]

    def users(self, rows: sparse.csr_array) -> DoubleArray:
        """The factors of histories, [B, I] of confidences in this domain alone -> [B, D]; zeros for an empty one."""
        return fold_in(rows, self.items.astype(np.float64), self.gram)


@dataclass
class EMCDR:
    """Scores in the target domain are (w u_t + (1 - w) B u_s) x item factors.

    u_s and u_t are the user's factors in the source domains and in the target domain, each folded in from the history
    there, B is a linear bridge with an intercept, learnt by ridge regression of the users who are in both, each
    weighing as much as she did in the target domain, and w = n / (n + prior) for n interactions there. So a user who is
    new to the target domain is served from the bridge alone, and one who is new altogether from its intercept.

    What differs from Man et al. 2017: factors are those of implicit feedback (iALS); the bridge is the linear one of
    the paper's two; a user with few interactions in the target domain is served from both. Source items are scored by
    u_s, so that their order means something too.

    Memory, in bytes: 60 for each interaction, 64 D for each user, 36 D for each item, 128 D^2, four times the scores of
    a chunk, and `BASE`.
    """

    config: EMCDRConfig
    inside: BoolArray  # [I] the items of the target domain
    seed: int
    source: Domain = field(default_factory=Domain)
    target: Domain = field(default_factory=Domain)
    bridge: DoubleArray = field(default_factory=lambda: np.zeros((1, 0)))  # [D + 1, D]

    def fit(self, interactions: Interactions) -> None:
        """Factors of both domains, then the bridge."""
        taken = self._confidence(interactions.histories)
        self.source, self.target = self._factors(taken, ~self.inside), self._factors(taken, self.inside)
        known, asked = self._apart(taken)
        there = np.diff(asked.indptr)
        both = np.flatnonzero((np.diff(known.indptr) > 0) & (there > 0))
        sources, targets = _with_one(self.source.users(known[both])), self.target.users(asked[both])
        weighted = sources * there[both, None]
        system = weighted.T @ sources + self.config.bridge_l2 * np.eye(sources.shape[1])
        self.bridge = np.asarray(np.linalg.solve(system, weighted.T @ targets), np.float64)

    def scores(self, requests: Requests) -> FloatArray:
        """[B, I]."""
        known, asked = self._apart(self._confidence(requests.histories))
        source, own = self.source.users(known), self.target.users(asked)
        there = np.diff(asked.indptr)[:, None]
        weight = there / (there + self.config.prior)
        target = weight * own + (1.0 - weight) * (_with_one(source) @ self.bridge)
        return np.asarray(
            target.astype(np.float32) @ self.target.items.T + source.astype(np.float32) @ self.source.items.T
        )

    def _confidence(self, histories: Histories) -> sparse.csr_array:
        return confidence(histories, len(self.inside), self.config.alpha, weighted=self.config.weighted)

    def _apart(self, rows: sparse.csr_array) -> tuple[sparse.csr_array, sparse.csr_array]:
        """The rows in the source domains and in the target domain."""
        return _only(rows, ~self.inside), _only(rows, self.inside)

    def _factors(self, taken: sparse.csr_array, chosen: BoolArray) -> Domain:
        """The factors of the chosen items; zeros where nobody took one of them."""
        config = self.config
        items = np.zeros((len(chosen), config.factors), np.float32)
        rows = sparse.csr_array(taken[:, np.flatnonzero(chosen)])
        if rows.nnz:
            _, items[chosen] = alternate(
                rows,
                factors=config.factors,
                regularization=config.regularization,
                iterations=config.iterations,
                seed=self.seed,
            )
        double = items.astype(np.float64)
        return Domain(items, double.T @ double + config.regularization * np.eye(config.factors))

    def state(self) -> State:
        """Item factors and their products, of both domains, and the bridge; they say which item is in which."""
        domains = {"source": self.source, "target": self.target}
        arrays = {f"{name}.{part}": getattr(each, part) for name, each in domains.items() for part in ("items", "gram")}
        return State(arrays={**arrays, "bridge": self.bridge, "inside": self.inside.astype(np.uint8)})

    def load(self, state: State) -> None:
        """Take them."""
        arrays = state.arrays
        self.source = Domain(arrays["source.items"], arrays["source.gram"])
        self.target = Domain(arrays["target.items"], arrays["target.gram"])
        self.bridge, self.inside = arrays["bridge"], arrays["inside"].astype(np.bool_)


def _only(rows: sparse.csr_array, chosen: BoolArray) -> sparse.csr_array:
    """The rows with what they hold outside the chosen columns left out."""
    kept = rows.copy()
    kept.data = kept.data * chosen[kept.indices]
    kept.eliminate_zeros()
    return kept


def _with_one(users: DoubleArray) -> DoubleArray:
    """[B, D] -> [B, D + 1]."""
    return np.hstack([users, np.ones((len(users), 1))])


def build(config: EMCDRConfig, context: BuildContext) -> EMCDR:
    """An unfitted model."""
    inside = np.zeros(context.items, np.bool_) if context.candidates is None else context.candidates
    return EMCDR(config, inside, context.seed)


def memory(config: EMCDRConfig, sizes: Sizes) -> float:
    """Bytes at most: see `EMCDR`."""
    D = config.factors
    return (
        BASE
        + 60 * sizes.interactions
        + 64 * D * sizes.users
        + 36 * D * sizes.items
        + 128 * D**2
        + 4 * chunk_bytes(sizes)
    )


@hookimpl
def provide_models() -> list[ModelSpec]:
    """EMCDR."""
    return [
        ModelSpec(
            name="emcdr",
            api_version=1,
            config=EMCDRConfig,
            needs=frozenset({"target_domain"}),
            offers=frozenset({"ranking", "new_users"}),
            source=(
                "Man, Shen, Jin and Cheng 2017, Cross-Domain Recommendation: An Embedding and Mapping Approach, "
                "doi:10.24963/ijcai.2017/343"
            ),
            build=build,
            training="closed_form",
            memory=memory,
        )
    ]
