"""Leave-last-k: each user's newest interactions are the test, those before them the validation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import Field

from recsmith.contracts.config import Config
from recsmith.contracts.data import TEST, TRAIN, VALID
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import SplitterSpec

if TYPE_CHECKING:
    import numpy.typing as npt

    from recsmith.contracts.data import LogColumns
    from recsmith.contracts.plugins import BuildContext

FEWEST = 3  # interactions of a user who is judged


class LeaveLastConfig(Config):
    """How many interactions of a user are held out."""

    test: Annotated[int, Field(ge=1)] = 1
    valid: Annotated[int, Field(ge=0)] = 1


class LeaveLast:
    """Holds out the last interactions; without an order, as many at random."""

    def __init__(self, config: LeaveLastConfig) -> None:
        self.config = config

    def split(self, log: LogColumns, seed: int) -> npt.NDArray[np.int8]:
        """Assign every interaction, [N]; users who would keep nothing to train on are not judged."""
        test, held_out = self.config.test, self.config.test + self.config.valid
        counts = log.user_counts[log.user]
        from_end = counts - 1 - log.places(None if log.ordered else seed)
        judged = counts >= max(FEWEST, held_out + 1)
        assignment = np.full(len(log.user), TRAIN, np.int8)
        assignment[judged & (from_end < held_out)] = VALID
        assignment[judged & (from_end < test)] = TEST
        return assignment


def build(config: LeaveLastConfig, context: BuildContext) -> LeaveLast:
    """A splitter with these settings."""
    return LeaveLast(config)


@hookimpl
def provide_splitters() -> list[SplitterSpec]:
    """The splitter `leave_last`."""
    return [
        SplitterSpec(
            name="leave_last",
            api_version=1,
            source="Meng, McCreadie, Macdonald and Ounis 2020, doi:10.1145/3383313.3418479",
            config=LeaveLastConfig,
            build=build,
            scenarios=frozenset({"next_item", "rating"}),
        )
    ]
