"""User-cold: some users are new; their first k interactions are known, the rest is to be predicted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from recsmith.contracts.config import Config
from recsmith.contracts.data import TEST, TEST_SUPPORT, TRAIN, VALID, VALID_SUPPORT
from recsmith.contracts.errors import PlanError
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import SplitterSpec

if TYPE_CHECKING:
    import numpy.typing as npt

    from recsmith.contracts.data import LogColumns
    from recsmith.contracts.plugins import BuildContext

FEWEST = 3  # interactions of a user who is judged


class ColdUserConfig(Config):
    """Shares of the users who have enough interactions, and how many of theirs are known.

    `chosen` says who is new: drawn with the seed, or those who came last (test) and before them (valid).
    """

    test: Annotated[float, Field(gt=0, lt=1)] = 0.1
    valid: Annotated[float, Field(ge=0, lt=1)] = 0.1
    support: Annotated[int, Field(ge=1)] = 5  # k
    chosen: Literal["random", "latest"] = "random"

    @model_validator(mode="after")
    def _leaves_training(self) -> Self:
        if self.test + self.valid >= 1:
            raise ValueError("the shares of test and valid leave no user to train on")
        return self


class ColdUser:
    """Chooses the new users; their support is their first k interactions, at random without an order."""

    def __init__(self, config: ColdUserConfig) -> None:
        self.config = config

    def split(self, log: LogColumns, seed: int) -> npt.NDArray[np.int8]:
        """Assign every interaction, [N].

        Raises:
            PlanError: the latest users are wanted of a log without an order.
        """
        counts = log.user_counts
        eligible = np.flatnonzero(counts >= max(FEWEST, self.config.support + 1))
        if self.config.chosen == "random":
            drawn = np.random.default_rng(seed).permutation(eligible)
        elif log.ordered:
            came = np.full(len(counts), len(log.user))
            np.minimum.at(came, log.user, np.arange(len(log.user)))
            drawn = eligible[np.argsort(-came[eligible], kind="stable")]
        else:
            raise PlanError("split cold_user: chosen: latest needs an order (timestamps, or `order: rows`).")
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
