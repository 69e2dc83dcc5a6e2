"""EASE with side information: item columns help to weigh the items that were taken, and give weights to new ones."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any

import numpy as np
from scipy.linalg import lapack

from recsmith.contracts.config import Config
from recsmith.contracts.content import ItemContent
from recsmith.contracts.data import BoolArray, DoubleArray, FeatureMatrix, FloatArray, Interactions, Requests, State
from recsmith.contracts.domains import Float
from recsmith.contracts.errors import DataError
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import BuildContext, ModelSpec, Sizes
from recsmith_plugins.blocks.item_features import encoded
from recsmith_plugins.blocks.memory import BASE, chunk_bytes
from recsmith_plugins.blocks.recency import HALF_LIFE, NO_DECAY, weighted_rows


class EASEContentConfig(Config):
    """Settings. `l2` and `side` make the weights among known items, `smoothing` and `own` those of new ones.

    `side` is the weight of the products of two items' features beside the users whom they share. `smoothing` is the L2
    penalty of the regression from features to weights. `own` is what an item says for itself there. What a user takes
    next follows from what was taken last; which new item is liked, from all that was taken: on ml-1m a half-life of 3
    lifts known items from .122 to .131 and drops new ones from .296 to .135 (NDCG@10 on validation).
    """

    content: ItemContent = ItemContent()
    l2: Annotated[float, Float(1.0, 10_000.0, log=True)] = 500.0
    side: Annotated[float, Float(0.1, 1_000.0, log=True)] = 10.0
    smoothing: Annotated[float, Float(0.01, 100.0, log=True)] = 3.0
    own: Annotated[float, Float(0.01, 10.0, log=True)] = 0.5
    history_half_life: Annotated[float, HALF_LIFE] = 3.0  # in interactions; at the upper end off
    new_half_life: Annotated[float, HALF_LIFE] = NO_DECAY  # the same for the scores of new items


def _factor(matrix: DoubleArray) -> DoubleArray:
    """The lower Cholesky factor of a positive definite matrix, in the argument's own memory."""
    factor, failed = lapack.dpotrf(matrix, lower=1, overwrite_a=1)
    if failed:
        raise DataError("ease_content: the item matrix is not positive definite. Raise l2 and smoothing.")
    found: DoubleArray = factor
    return found


def _dense(matrix: Any) -> DoubleArray:
    """A dense or sparse matrix as float64 in the order that LAPACK works in."""
    dense = matrix if isinstance(matrix, np.ndarray) else matrix.toarray()
    return np.asfortranarray(dense, np.float64)


@dataclass
class EASEContent:
    """Scores are history x B.

    Among the items that somebody took B is the EASE solution for the users' rows with the features as further rows
    (CEASE, Jeunen et al. 2020, section 3.1): G = X'X + side x FF' + l2. There a new item would get the weights that
    rebuild its features at the least score for anybody, since nobody took it. So its column of B is regressed instead
    on the features of the known items' columns, with `own` on their diagonal, by kernel ridge: (B + own) Z where
    Z = (FF' + smoothing)^-1 F f. A new item in a history stands for the same mixture Z of known ones.

    Memory, in bytes: 24 I^2 (B and two matrices of float64 at a time), 24 for each interaction and for each of an
    item's W stored numbers, thrice the scores of a chunk, and `BASE`.
    """

    config: EASEContentConfig
    features: FeatureMatrix | None  # [I, F]
    weights: FloatArray = field(default_factory=lambda: np.zeros((0, 0), np.float32))  # B, [I, I]
    new: BoolArray = field(default_factory=lambda: np.zeros(0, np.bool_))  # [I] items that nobody took
    ordered: bool = False

    def fit(self, interactions: Interactions) -> None:
        """Solve for the known items, then carry over to the new ones."""
        counts = interactions.counts
        known, new = np.flatnonzero(counts), np.flatnonzero(counts == 0)
        features: Any = encoded(self.features, interactions.items)
        taken = interactions.histories.matrix(interactions.items)[:, known]
        weights = self._among_known(taken, features[known])
        self.ordered, self.new = interactions.ordered, counts == 0
        if not len(new):
            self.weights = weights
            return
        mixture = self._mixtures(features[known], features[new])
        self.weights = np.zeros((interactions.items, interactions.items), np.float32)
        self.weights[np.ix_(known, known)] = weights
        weights[np.diag_indices_from(weights)] = self.config.own
        columns = weights @ mixture
        self.weights[np.ix_(known, new)] = columns
        self.weights[np.ix_(new, known)] = mixture.T @ weights
        self.weights[np.ix_(new, new)] = mixture.T @ columns
        self.weights[new, new] = 0.0

    def _among_known(self, taken: Any, features: Any) -> FloatArray:
        """B of the known items: -P / diag(P) off the diagonal, P the inverse of G."""
        gram = _dense(taken.T @ taken)
        gram += self.config.side * _dense(features @ features.T)
        gram[np.diag_indices_from(gram)] += self.config.l2
        inverse = lapack.dpotri(_factor(gram), lower=1, overwrite_c=1)[0]
        diagonal = inverse.diagonal().copy()
        weights: FloatArray = np.tril(inverse.astype(np.float32), -1)
        weights += weights.T
        weights /= -diagonal[None, :].astype(np.float32)
        return weights

    def _mixtures(self, known: Any, new: Any) -> FloatArray:
        """Z: every new item as a mixture of known ones, [known, new]."""
        kernel = _dense(known @ known.T)
        kernel[np.diag_indices_from(kernel)] += self.config.smoothing
        solved: DoubleArray = lapack.dpotrs(_factor(kernel), _dense(known @ new.T), lower=1, overwrite_b=1)[0]
        return solved.astype(np.float32, order="C")

    def scores(self, requests: Requests) -> FloatArray:
        """The recency-weighted history times B, [B, I]."""
        scores = np.empty((len(requests), len(self.weights)), np.float32)
        halves = ((self.new, self.config.new_half_life), (~self.new, self.config.history_half_life))
        for items, half_life in halves:
            if items.any():
                rows = weighted_rows(requests.histories, len(self.weights), half_life if self.ordered else NO_DECAY)
                scores[:, items] = rows @ self.weights[:, items]
        return scores

    def state(self) -> State:
        """B, which items are new, and whether order means something."""
        return State({"ordered": self.ordered}, {"weights": self.weights, "new": self.new})

    def load(self, state: State) -> None:
        """Take B."""
        self.weights, self.new = state.arrays["weights"], state.arrays["new"]
        self.ordered = bool(state.values["ordered"])


def build(config: EASEContentConfig, context: BuildContext) -> EASEContent:
    """An unfitted model."""
    return EASEContent(config, context.item_features)


def memory(config: EASEContentConfig, sizes: Sizes) -> float:
    """Bytes at most: see `EASEContent`."""
    square = 24 * sizes.items**2
    return BASE + square + 24 * (sizes.interactions + sizes.width * sizes.items) + 3 * chunk_bytes(sizes)


@hookimpl
def provide_models() -> list[ModelSpec]:
    """EASE with item content."""
    spec = ModelSpec(
        name="ease_content",
        api_version=1,
        config=EASEContentConfig,
        needs=frozenset({"item_features", "small_catalogue"}),
        offers=frozenset({"ranking", "new_users", "new_items"}),
        source=(
            "Jeunen, Van Balen and Goethals 2020, Closed-Form Models for Collaborative Filtering with "
            "Side-Information, doi:10.1145/3383313.3418480; Gantner et al. 2010, doi:10.1109/ICDM.2010.129 (new items)"
        ),
        build=build,
        training="closed_form",
        memory=memory,
    )
    return [spec]
