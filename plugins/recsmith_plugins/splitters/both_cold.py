"""Both cold: new users are recommended new items, of which nothing but the columns is known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Self

import numpy as np
from pydantic import Field, model_validator

from recsmith.contracts.config import Config
from recsmith.contracts.data import TEST, TEST_SUPPORT, TRAIN, UNUSED, VALID, VALID_SUPPORT
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import SplitterSpec

if TYPE_CHECKING:
    import numpy.typing as npt

    from recsmith.contracts.data import LogColumns, LongArray
    from recsmith.contracts.plugins import BuildContext


class BothColdConfig(Config):
    """Shares of the users and of the items alike, and how many interactions with old items are known of a new user."""

    test: Annotated[float, Field(gt=0, lt=1)] = 0.2
    valid: Annotated[float, Field(ge=0, lt=1)] = 0.2
    support: Annotated[int, Field(ge=1)] = 5  # k

    @model_validator(mode="after")
    def _leaves_training(self) -> Self:
        if self.test + self.valid >= 1:
            raise ValueError("the shares of test and valid leave nothing to train on")
        return self


class BothCold:
    """Draws new users and new items with the seed.

    A new user's support are the first k interactions with old items, at random without an order; asked for are those
    with new items that come later. What is neither, and what old users did with new items, is unused.
    """

    def __init__(self, config: BothColdConfig) -> None:
        self.config = config

    def split(self, log: LogColumns, seed: int) -> npt.NDArray[np.int8]:
        """Assign every interaction, [N]."""
        rng = np.random.default_rng(seed)
        user, item = self._roles(log.user, rng)[log.user], self._roles(log.item, rng)[log.item]
        assignment = np.full(len(log.user), UNUSED, np.int8)
        assignment[(user == TRAIN) & (item == TRAIN)] = TRAIN
        places = log.places(None if log.ordered else seed)
        for target, support in ((VALID, VALID_SUPPORT), (TEST, TEST_SUPPORT)):
            new = user == target
            known = np.flatnonzero(new & (item == TRAIN))
            known = known[np.argsort(places[known], kind="stable")]
            place = log.take(known).places()
            assignment[known[place < self.config.support]] = support
            last = known[place == self.config.support - 1]  # of those who have as many
            reached = np.full(len(log.user_counts), -1, np.int64)
            reached[log.user[last]] = places[last]
            since = reached[log.user]
            later = (places > since) | (not log.ordered)
            assignment[new & (item == target) & (since >= 0) & later] = target
        return assignment

    def _roles(self, codes: LongArray, rng: np.random.Generator) -> npt.NDArray[np.int8]:
        """What each code is for, where it occurs."""
        drawn = rng.permutation(np.unique(codes))
        test = max(1, round(len(drawn) * self.config.test))
        valid = max(1, round(len(drawn) * self.config.valid)) if self.config.valid else 0
        role = np.full(int(codes.max()) + 1, TRAIN, np.int8)
        role[drawn[:test]] = TEST
        role[drawn[test : test + valid]] = VALID
        return role


def build(config: BothColdConfig, context: BuildContext) -> BothCold:
    """A splitter with these settings."""
    return BothCold(config)


@hookimpl
def provide_splitters() -> list[SplitterSpec]:
    """The splitter `both_cold`."""
    return [
        SplitterSpec(
            name="both_cold",
            api_version=1,
            source="Park and Chu 2009, Pairwise preference regression for cold-start recommendation, "
            "doi:10.1145/1639714.1639720 (partition IV)",
            config=BothColdConfig,
            build=build,
            needs=frozenset({"item_features"}),
            scenarios=frozenset({"both_cold"}),
        )
    ]
