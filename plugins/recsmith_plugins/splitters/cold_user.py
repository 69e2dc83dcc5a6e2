"""User-cold: some users are new; their first k interactions are known, the rest is to be predicted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Self

import numpy as np
from pydantic import Field, model_validator

from recsmith.contracts.config import Config
from recsmith.contracts.data import TEST, TEST_SUPPORT, TRAIN, VALID, VALID_SUPPORT
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import SplitterSpec

if TYPE_CHECKING:
    import numpy.typing as npt

    from recsmith.contracts.data import LogColumns
    from recsmith.contracts.plugins import BuildContext

FEWEST = 3  # interactions of a user who is judged


class ColdUserConfig(Config):
    """Shares of the users who have enough interactions, and how many of theirs are known."""

    test: Annotated[float, Field(gt=0, lt=1)] = 0.1
    valid: Annotated[float, Field(ge=0, lt=1)] = 0.1
    support: Annotated[int, Field(ge=1)] = 5  # k

    @model_validator(mode="after")
    def _leaves_training(self) -> Self:
        if self.test + self.valid >= 1:
            raise ValueError("the shares of test and valid leave no user to train on")
        return self


class ColdUser:
    """Draws the new users with the seed; their support is their first k interactions, at random without an order."""

    def __init__(self, config: ColdUserConfig) -> None:
        self.config = config

    def split(self, log: LogColumns, seed: int) -> npt.NDArray[np.int8]:
        """Assign every interaction, [N]."""
        counts = log.user_counts
        eligible = np.flatnonzero(counts >= max(FEWEST, self.config.support + 1))
        drawn = np.random.default_rng(seed).permutation(eligible)
        test = max(1, round(len(drawn) * self.config.test))
        valid = max(1, round(len(drawn) * self.config.valid)) if self.config.valid else 0
        role = np.full(len(counts), TRAIN, np.int8)
        role[drawn[:test]] = TEST
        role[drawn[test : test + valid]] = VALID
        assignment = role[log.user]
        known = log.places(None if log.ordered else seed) < self.config.support
        assignment[known & (assignment == TEST)] = TEST_SUPPORT
        assignment[known & (assignment == VALID)] = VALID_SUPPORT
        return assignment


def build(config: ColdUserConfig, context: BuildContext) -> ColdUser:
    """A splitter with these settings."""
    return ColdUser(config)


@hookimpl
def provide_splitters() -> list[SplitterSpec]:
    """The splitter `cold_user`."""
    return [
        SplitterSpec(
            name="cold_user",
            api_version=1,
            source="none: whole users are held out but for their first interactions",
            config=ColdUserConfig,
            build=build,
            scenarios=frozenset({"cold_user", "rating"}),
        )
    ]
