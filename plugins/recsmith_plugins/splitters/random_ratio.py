"""Random ratio: a random share of each user's interactions is held out (8:1:1 unless told otherwise)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Self

import numpy as np
from pydantic import Field, model_validator

from recsmith.contracts.config import Config
from recsmith.contracts.data import TEST, TRAIN, VALID
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import SplitterSpec

if TYPE_CHECKING:
    import numpy.typing as npt

    from recsmith.contracts.data import LogColumns
    from recsmith.contracts.plugins import BuildContext

FEWEST = 3  # interactions of a user who is judged


class RandomRatioConfig(Config):
    """Shares of each user's interactions; what is left is trained on."""

    test: Annotated[float, Field(gt=0, lt=1)] = 0.1
    valid: Annotated[float, Field(ge=0, lt=1)] = 0.1

    @model_validator(mode="after")
    def _leaves_training(self) -> Self:
        if self.test + self.valid >= 1:
            raise ValueError("the shares of test and valid leave nothing to train on")
        return self


class RandomRatio:
    """Holds out the rounded share, at least one and never all of a judged user's interactions."""

    def __init__(self, config: RandomRatioConfig) -> None:
        self.config = config

    def split(self, log: LogColumns, seed: int) -> npt.NDArray[np.int8]:
        """Assign every interaction, [N]."""
        counts = log.user_counts
        fewest_valid = 1 if self.config.valid else 0
        test = np.clip(np.floor(counts * self.config.test + 0.5), 1, counts - 1 - fewest_valid)
        valid = np.clip(np.floor(counts * self.config.valid + 0.5), fewest_valid, np.maximum(counts - 1 - test, 0))
        place, user = log.places(seed), log.user
        judged = counts[user] >= FEWEST
        assignment = np.full(len(user), TRAIN, np.int8)
        assignment[judged & (place < (test + valid)[user])] = VALID
        assignment[judged & (place < test[user])] = TEST
        return assignment


def build(config: RandomRatioConfig, context: BuildContext) -> RandomRatio:
    """A splitter with these settings."""
    return RandomRatio(config)


@hookimpl
def provide_splitters() -> list[SplitterSpec]:
    """The splitter `random_ratio`."""
    return [
        SplitterSpec(
            name="random_ratio",
            api_version=1,
            source="Meng, McCreadie, Macdonald and Ounis 2020, doi:10.1145/3383313.3418479",
            config=RandomRatioConfig,
            build=build,
            scenarios=frozenset({"next_item", "rating"}),
        )
    ]
