"""Bias model for ratings: the overall mean, plus how generous the user and how well liked the item is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

from recsmith.contracts.config import Config
from recsmith.contracts.domains import Categorical, Float
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import BuildContext, ModelSpec, Sizes
from recsmith_plugins.blocks.memory import chunk_bytes
from recsmith_plugins.blocks.rating_offsets import OFF, Offsets

if TYPE_CHECKING:
    from recsmith.contracts.data import FloatArray, Interactions, Requests, State


class BiasConfig(Config):
    """Settings: how many ratings of zero offset each user and each item is credited with.

    `offsets` leaves a side out: with "items" everybody gets the (damped) mean of the item, the item-mean baseline; with
    "users" every item gets that of the user.
    """

    offsets: Annotated[str, Categorical(("both", "items", "users"))] = "both"
    user_damping: Annotated[float, Float(0.1, 100.0, log=True)] = 5.0
    item_damping: Annotated[float, Float(0.1, 100.0, log=True)] = 5.0
    weighted: Annotated[bool, Categorical((False, True))] = False  # a rating counts by the weight of its event


@dataclass
class Bias:
    """Predicts mean + user offset + item offset, cut to the range of ratings seen in training.

    Minimises sum (r - mean - b_u - b_i)^2 + user_damping |b_u|^2 + item_damping |b_i|^2. The offset of a user follows
    in closed form from the ratings of the request's history; the stored one serves requests without ratings.

    Differs from Koren (2010), section 2.1: both sides are fitted together, by least squares, not one after the other.

    Memory, in bytes: 56 for each interaction, 40 for each user and item, 24 for each score of a chunk of requests.
    """

    config: BiasConfig
    offsets: Offsets = field(init=False)

    def __post_init__(self) -> None:
        users = OFF if self.config.offsets == "items" else self.config.user_damping
        items = OFF if self.config.offsets == "users" else self.config.item_damping
        self.offsets = Offsets(users, items, self.config.weighted)

    def fit(self, interactions: Interactions) -> None:
        """Alternate between the closed forms of items and users.

        Raises:
            DataError: the rows have no ratings.
        """
        self.offsets = self.offsets.fitted(interactions, "bias")

    def scores(self, requests: Requests) -> FloatArray:
        """Predicted ratings, [B, I]."""
        offsets = self.offsets
        return offsets.clipped(offsets.mean + offsets.of(requests)[:, None] + offsets.items[None, :])

    def state(self) -> State:
        """The mean, the range and the offsets."""
        return self.offsets.state()

    def load(self, state: State) -> None:
        """Take the mean, the range and the offsets."""
        self.offsets = self.offsets.loaded(state)


def memory(config: BiasConfig, sizes: Sizes) -> float:
    """Bytes at most, as told at `Bias`."""
    scores = chunk_bytes(sizes) / 4
    return 1e6 + 56.0 * sizes.interactions + 40.0 * (sizes.users + sizes.items) + 24.0 * scores


def build(config: BiasConfig, context: BuildContext) -> Bias:
    """An unfitted model."""
    return Bias(config)


@hookimpl
def provide_models() -> list[ModelSpec]:
    """The bias model."""
    spec = ModelSpec(
        name="bias",
        api_version=1,
        config=BiasConfig,
        needs=frozenset({"values"}),
        offers=frozenset({"ratings", "new_users"}),
        source=(
            "Koren 2010, Factor in the Neighbors: Scalable and Accurate Collaborative Filtering (baseline estimates), "
            "doi:10.1145/1644873.1644874"
        ),
        build=build,
        training="closed_form",
        memory=memory,
    )
    return [spec]
