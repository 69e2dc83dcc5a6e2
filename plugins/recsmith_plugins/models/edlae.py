"""EDLAE: the linear autoencoder that rebuilds what was dropped from what was not, in closed form."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated

import numpy as np

from recsmith.contracts.config import Config
from recsmith.contracts.domains import Categorical, Float
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import BuildContext, ModelSpec, Sizes
from recsmith_plugins.blocks.gram_inverse import gram_inverse, squared_bytes
from recsmith_plugins.blocks.item_to_item import ItemToItem
from recsmith_plugins.blocks.recency import HALF_LIFE

if TYPE_CHECKING:
    from recsmith.contracts.data import FloatArray, Interactions


class EDLAEConfig(Config):
    """Settings."""

    dropout: Annotated[float, Float(0.0, 0.9)] = 0.5  # probability that an interaction is dropped from the input
    l2: Annotated[float, Float(1.0, 10_000.0, log=True)] = 300.0  # of all weights alike
    emphasis: Annotated[bool, Categorical((True, False))] = True  # what was dropped is all that is to be rebuilt
    weighted: Annotated[bool, Categorical((False, True))] = False  # repeats and the weights of events count
    history_half_life: Annotated[float, HALF_LIFE] = 3.0  # in interactions; at the upper end off


def learn(config: EDLAEConfig, interactions: Interactions) -> FloatArray:
    """B, [I, I]: see `build`."""
    taken = interactions.histories.matrix(interactions.items, weighted=config.weighted)
    squares = np.asarray(taken.power(2).sum(axis=0, dtype=np.float64)).ravel()  # the diagonal of X'X
    penalty = config.l2 + config.dropout / (1.0 - config.dropout) * squares
    weights, diagonal = gram_inverse(taken, penalty)
    weights *= -(1.0 / diagonal if config.emphasis else penalty).astype(np.float32)
    np.fill_diagonal(weights, 0.0 if config.emphasis else 1.0 - diagonal * penalty)
    return weights


def build(config: EDLAEConfig, context: BuildContext) -> ItemToItem:
    """An unfitted model: scores are history x B, and B minimises the expected error of rebuilding X from a thinned X.

    With P the inverse of X'X + G, G = l2 + p / (1 - p) diag(X'X) for a dropout p, B is -P / diag(P) off a zero diagonal
    where only dropped interactions are to be rebuilt (Steck 2020, EDLAE with full emphasis: a = 1, b = 0), and I - PG
    where all are (DLAE). At p = 0 they are EASE and ridge regression.

    What differs from the paper: no factor 1 / (1 - p), which changes no ranking; no emphasis in between; no version of
    low rank; the recency of a history counts where the log has an order.
    """
    return ItemToItem(partial(learn, config), config.history_half_life)


def memory(config: EDLAEConfig, sizes: Sizes) -> float:
    """Bytes: 12 x I squared + 24 x interactions + 0.2 GB."""
    return squared_bytes(sizes)


@hookimpl
def provide_models() -> list[ModelSpec]:
    """EDLAE."""
    spec = ModelSpec(
        name="edlae",
        api_version=1,
        config=EDLAEConfig,
        needs=frozenset({"small_catalogue"}),
        offers=frozenset({"ranking", "new_users"}),
        source=(
            "Steck 2020, Autoencoders that don't overfit towards the Identity, NeurIPS, "
            "https://proceedings.neurips.cc/paper/2020/hash/e33d974aae13e4d877477d51d8bafdc4-Abstract.html"
        ),
        build=build,
        training="closed_form",
        memory=memory,
    )
    return [spec]
