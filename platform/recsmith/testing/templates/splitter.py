"""Each user's newest share is the test, the share before it the validation: long histories are judged on more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np

from recsmith.contracts.config import Config
from recsmith.contracts.data import TEST, TRAIN, VALID
from recsmith.contracts.domains import Float
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import BuildContext, SplitterSpec

if TYPE_CHECKING:
    import numpy.typing as npt

    from recsmith.contracts.data import LogColumns

FEWEST = 3  # interactions of a user who is judged: one each to train on, to search by and to test


class MyNameConfig(Config):
    """Settings. A plan gives another share as `split: {name: my_name, share: 0.2}`."""

    share: Annotated[float, Float(0.05, 0.3)] = 0.1  # of each user's interactions, once for test and once for valid


@dataclass(frozen=True)
class MyName:
    """Holds out max(1, floor(share * length)) interactions twice; without an order, as many at random."""

    config: MyNameConfig

    def split(self, log: LogColumns, seed: int) -> npt.NDArray[np.int8]:
        """Assign every interaction, [N]; users with fewer than three only train."""
        counts = log.user_counts[log.user]
        from_end = counts - 1 - log.places(None if log.ordered else seed)
        held_out = np.maximum(1, np.floor(self.config.share * counts))
        judged = counts >= FEWEST
        assignment = np.full(len(log.user), TRAIN, np.int8)
        assignment[judged & (from_end < 2 * held_out)] = VALID
        assignment[judged & (from_end < held_out)] = TEST
        return assignment


def build(config: MyNameConfig, context: BuildContext) -> MyName:
    """A splitter."""
    return MyName(config)


@hookimpl
def provide_splitters() -> list[SplitterSpec]:
    """Offer the splitter."""
    return [
        SplitterSpec(
            name="my_name",
            api_version=1,
            config=MyNameConfig,
            source="Meng et al. 2020, Exploring Data Splitting Strategies for the Evaluation of Recommendation Models",
            build=build,
            scenarios=frozenset({"next_item", "rating"}),
        )
    ]
