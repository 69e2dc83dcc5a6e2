"""SLIM: sparse weights from item to item that rebuild the log, learnt by a non-negative elastic net."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated

import numpy as np
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import enet_path

from recsmith.contracts.config import Config
from recsmith.contracts.domains import Categorical, Float, Int
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import BuildContext, ModelSpec, Sizes
from recsmith_plugins.blocks.item_to_item import SCORED, ItemToItem
from recsmith_plugins.blocks.recency import HALF_LIFE

if TYPE_CHECKING:
    from recsmith.contracts.data import DoubleArray, Interactions, LongArray

SWEEPS = 300  # of coordinate descent at most; weights that still change a little by then are taken as they are
PAIRS = 3e7  # pairs of items whose shared users are held at most
TOLERANCE = 1e-4  # duality gap at which it ends, relative to the item's squared length


class SLIMConfig(Config):
    """Settings. `l1` and `l2` are in users, as the matrix that counts the users whom two items share."""

    l1: Annotated[float, Float(0.01, 100.0, log=True)] = 0.3
    l2: Annotated[float, Float(0.1, 10_000.0, log=True)] = 300.0
    candidates: Annotated[int, Int(20, 1000, log=True)] = 200  # items of the highest cosine that may have a weight
    weighted: Annotated[bool, Categorical((False, True))] = False  # repeats and the weights of events count
    history_half_life: Annotated[float, HALF_LIFE] = 3.0  # in interactions; at the upper end off


@dataclass
class _Shared:
    """What pairs of items share: X'X as a whole where it is small, else the parts that are asked for, made anew."""

    taken: sparse.csr_array  # X, [U, I]
    takers: sparse.csr_array  # [I, U]
    whole: sparse.csr_array | None = None  # [I, I]

    @classmethod
    def of(cls, taken: sparse.csr_array) -> _Shared:
        """Of the rows X [U, I]."""
        takers = taken.T.tocsr()
        pairs = min(taken.shape[1] ** 2, float(np.square(np.diff(taken.indptr), dtype=np.float64).sum()))
        return cls(taken, takers, sparse.csr_array(takers @ taken) if pairs <= PAIRS else None)

    def candidates(self, squares: DoubleArray, item: int, count: int) -> tuple[LongArray, DoubleArray]:
        """The other items of the highest cosine, in ascending order, and what each shares with `item`."""
        row = self.takers[[item]] @ self.taken if self.whole is None else self.whole[[item]]
        keep = row.indices != item
        others, shared = row.indices[keep].astype(np.int64), row.data[keep].astype(np.float64)
        best = np.arange(len(others))
        if len(others) > count:
            cosine = shared / np.sqrt(squares[others])  # but for a factor of the item's own
            best = np.argpartition(cosine, len(others) - count)[-count:]
        best = best[np.argsort(others[best])]
        return others[best], shared[best]

    def among(self, items: LongArray) -> DoubleArray:
        """What pairs of `items` share."""
        rows = self.takers[items] if self.whole is None else self.whole[items]
        part = rows @ rows.T if self.whole is None else rows[:, items]
        return part.toarray().astype(np.float64)


def learn(config: SLIMConfig, interactions: Interactions) -> sparse.csr_array:
    """W, [I, I]: see `build`."""
    taken = interactions.histories.matrix(interactions.items, weighted=config.weighted)
    squares = np.asarray(taken.power(2).sum(axis=0, dtype=np.float64)).ravel()
    shared, columns, weights = _Shared.of(taken), [], []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for item in range(interactions.items):
            near, counts = shared.candidates(squares, item, config.candidates)
            found = _weights(shared.among(near), counts, squares[item], config)
            columns.append(near[found > 0])
            weights.append(found[found > 0])
    indptr = np.concatenate([[0], np.cumsum([len(column) for column in columns])])
    data, rows = np.concatenate(weights, dtype=np.float32), np.concatenate(columns)
    return sparse.csr_array(sparse.csc_array((data, rows, indptr), shape=(interactions.items,) * 2).tocsr())


def _weights(gram: DoubleArray, shared: DoubleArray, square: float, config: SLIMConfig) -> DoubleArray:
    """The w >= 0 that minimises |a - Aw|^2 / 2 + l2 |w|^2 / 2 + l1 |w|, given A'A, A'a and a'a."""
    if not len(shared):
        return shared
    penalty = config.l1 + config.l2
    _, found, _ = enet_path(
        np.zeros((1, len(shared)), order="F"),  # stands for A: all that is asked of it is in its products
        np.array([np.sqrt(square)]),  # stands for a, by its length
        precompute=gram,
        Xy=shared,
        alphas=[penalty],
        l1_ratio=config.l1 / penalty,
        positive=True,
        check_input=False,
        max_iter=SWEEPS,
        tol=TOLERANCE,
        random_state=0,  # asked for in any case, used by another order of the coordinates only
    )
    weights: DoubleArray = found[:, 0]
    return weights


def build(config: SLIMConfig, context: BuildContext) -> ItemToItem:
    """An unfitted model: scores are history x W, and column j of W rebuilds who took item j from who took others.

    It minimises |X - XW|^2 / 2 + l2 |W|^2 / 2 + l1 |W| with W >= 0 and a zero diagonal (Ning and Karypis 2011, equation
    3). What differs: only the items of the highest cosine may have a weight in a column (fsSLIM in the paper);
    coordinate descent runs on the counts of shared users; the recency of a history counts where the log has an order.
    """
    return ItemToItem(partial(learn, config), config.history_half_life)


def memory(config: SLIMConfig, sizes: Sizes) -> float:
    """Bytes: 24 for each pair of items that is held, 64 x interactions, 16 x I x candidates, and 0.3 GB.

    Pairs are all that somebody shares, at most I squared and at most interactions x the longest history; where these
    may be more than PAIRS they are counted anew for each item, and none is held.
    """
    pairs = min(float(sizes.items) ** 2, float(sizes.interactions) * sizes.longest, PAIRS)
    candidates = min(config.candidates, sizes.items)
    return 24.0 * pairs + 64.0 * sizes.interactions + 16.0 * sizes.items * candidates + 0.1e9 + SCORED


@hookimpl
def provide_models() -> list[ModelSpec]:
    """SLIM."""
    spec = ModelSpec(
        name="slim",
        api_version=1,
        config=SLIMConfig,
        offers=frozenset({"ranking", "new_users"}),
        source=(
            "Ning and Karypis 2011, SLIM: Sparse Linear Methods for Top-N Recommender Systems, "
            "doi:10.1109/ICDM.2011.134"
        ),
        build=build,
        training="closed_form",
        memory=memory,
    )
    return [spec]
