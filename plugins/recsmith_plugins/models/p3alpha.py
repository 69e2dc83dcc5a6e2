"""P3alpha: recommend where random walks of three steps from the user end."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated

from recsmith.contracts.config import Config
from recsmith.contracts.domains import Categorical, Float, Int
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import BuildContext, ModelSpec, Sizes
from recsmith_plugins.blocks.item_to_item import SCORED, ItemToItem
from recsmith_plugins.blocks.random_walk import walk_bytes, walked
from recsmith_plugins.blocks.recency import HALF_LIFE
from recsmith_plugins.blocks.similarity import takers

if TYPE_CHECKING:
    from scipy import sparse

    from recsmith.contracts.data import Interactions


class P3AlphaConfig(Config):
    """Settings."""

    neighbours: Annotated[int, Int(5, 1000, log=True)] = 200  # kept per item; itself is one of them
    alpha: Annotated[float, Float(0.0, 2.0)] = 1.0  # exponent of the probabilities of single steps
    normalise: Annotated[bool, Categorical((False, True))] = False  # an item's weights sum to 1
    weighted: Annotated[bool, Categorical((False, True))] = False  # repeats and the weights of events count
    history_half_life: Annotated[float, HALF_LIFE] = 2.0  # in interactions; at the upper end off


def learn(config: P3AlphaConfig, interactions: Interactions) -> sparse.csr_array:
    """Weights of the steps from items to users to items, [I, I]."""
    graph = takers(interactions.histories, interactions.items, weighted=config.weighted)
    return walked(graph, alpha=config.alpha, beta=0.0, neighbours=config.neighbours, normalise=config.normalise)


def build(config: P3AlphaConfig, context: BuildContext) -> ItemToItem:
    """An unfitted model: walks from a user to an item of the history, to a user who took it, to an item of theirs.

    Cooper et al. 2014 raise the probability of each step to the power of alpha and score an item by the sum over all
    walks that end there. What differs: the first step follows how recent the interactions are where the log has an
    order, not chance alone; the other two are kept for each item's likeliest ends only, and may be made to sum to 1
    (both as in Ferrari Dacrema et al. 2021, doi:10.1145/3434185); with `weighted` a step follows the weights of events.
    """
    return ItemToItem(partial(learn, config), config.history_half_life)


def memory(config: P3AlphaConfig, sizes: Sizes) -> float:
    """Bytes: 64 x interactions + 36 x I x neighbours + 0.2 GB."""
    return walk_bytes(sizes, config.neighbours) + SCORED


@hookimpl
def provide_models() -> list[ModelSpec]:
    """P3alpha."""
    spec = ModelSpec(
        name="p3alpha",
        api_version=1,
        config=P3AlphaConfig,
        offers=frozenset({"ranking", "new_users"}),
        source=(
            "Cooper, Lee, Radinsky and Lee 2014, Random Walks in Recommender Systems: Exact Computation and "
            "Simulations, doi:10.1145/2567948.2579244"
        ),
        build=build,
        training="closed_form",
        memory=memory,
    )
    return [spec]
