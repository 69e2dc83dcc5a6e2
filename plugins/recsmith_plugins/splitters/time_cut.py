"""Global time cut: everybody's past is the training, two later stretches of time are validation and test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Self

import numpy as np
from pydantic import Field, model_validator

from recsmith.contracts.config import Config
from recsmith.contracts.data import TEST, TRAIN, UNUSED, VALID
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import SplitterSpec

if TYPE_CHECKING:
    import numpy.typing as npt

    from recsmith.contracts.data import LogColumns, LongArray
    from recsmith.contracts.plugins import BuildContext

FEWEST = 3  # interactions of a user who is judged

Share = Annotated[float, Field(ge=0, lt=1)]


class TimeCutConfig(Config):
    """Where the cuts are: as shares of the interactions, or as moments, which come first."""

    test: Annotated[float, Field(gt=0, lt=1)] = 0.1
    valid: Share = 0.1
    valid_from: int | None = None  # Unix seconds
    test_from: int | None = None  # Unix seconds

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.test + self.valid >= 1:
            raise ValueError("the shares of test and valid leave nothing to train on")
        if (self.valid_from is None) != (self.test_from is None):
            raise ValueError("valid_from and test_from are given together or not at all")
        if self.valid_from is not None and self.test_from is not None and self.valid_from >= self.test_from:
            raise ValueError("valid_from must be earlier than test_from")
        return self


class TimeCut:
    """Cuts between moments, so interactions of one moment stay together."""

    def __init__(self, config: TimeCutConfig) -> None:
        self.config = config

    def split(self, log: LogColumns, seed: int) -> npt.NDArray[np.int8]:
        """Assign every interaction, [N].

        A user with fewer than three interactions trains with those before the first cut; later ones are unused.
        """
        if log.timestamp is None:
            raise ValueError("a time cut needs timestamps")
        valid_from, test_from = self._cuts(log.timestamp)
        assignment = np.full(len(log.user), TRAIN, np.int8)
        assignment[log.timestamp >= valid_from] = VALID
        assignment[log.timestamp >= test_from] = TEST
        short = log.user_counts[log.user] < FEWEST
        assignment[short & (assignment != TRAIN)] = UNUSED
        return assignment

    def _cuts(self, timestamp: LongArray) -> tuple[int, int]:
        if self.config.valid_from is not None and self.config.test_from is not None:
            return self.config.valid_from, self.config.test_from
        ordered, last = np.sort(timestamp), len(timestamp) - 1
        test = ordered[min(last, int(len(ordered) * (1 - self.config.test)))]
        valid = ordered[int(len(ordered) * (1 - self.config.test - self.config.valid))]
        return int(valid), int(test)


def build(config: TimeCutConfig, context: BuildContext) -> TimeCut:
    """A splitter with these settings."""
    return TimeCut(config)


@hookimpl
def provide_splitters() -> list[SplitterSpec]:
    """The splitter `time_cut`."""
    return [
        SplitterSpec(
            name="time_cut",
            api_version=1,
            source="Meng, McCreadie, Macdonald and Ounis 2020, doi:10.1145/3383313.3418479",
            config=TimeCutConfig,
            build=build,
            needs=frozenset({"timestamps"}),
            scenarios=frozenset({"next_item", "rating", "streaming"}),
        )
    ]
