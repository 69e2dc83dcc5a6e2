"""Item-cold: some items are new; nothing but their columns is known when they are to be recommended."""

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

    from recsmith.contracts.data import LogColumns
    from recsmith.contracts.plugins import BuildContext

FEWEST = 3  # interactions of a user who is judged


class ColdItemConfig(Config):
    """Shares of the items."""

    test: Annotated[float, Field(gt=0, lt=1)] = 0.1
    valid: Annotated[float, Field(ge=0, lt=1)] = 0.1

    @model_validator(mode="after")
    def _leaves_training(self) -> Self:
        if self.test + self.valid >= 1:
            raise ValueError("the shares of test and valid leave no item to train on")
        return self


class ColdItem:
    """Draws the new items with the seed; all their interactions are held out."""

    def __init__(self, config: ColdItemConfig) -> None:
        self.config = config

    def split(self, log: LogColumns, seed: int) -> npt.NDArray[np.int8]:
        """Assign every interaction, [N]; with new items, users of fewer than three interactions are unused."""
        occurring = np.unique(log.item)
        drawn = np.random.default_rng(seed).permutation(occurring)
        test = max(1, round(len(drawn) * self.config.test))
        valid = max(1, round(len(drawn) * self.config.valid)) if self.config.valid else 0
        role = np.full(int(occurring[-1]) + 1, TRAIN, np.int8)
        role[drawn[:test]] = TEST
        role[drawn[test : test + valid]] = VALID
        assignment = role[log.item]
        short = log.user_counts[log.user] < FEWEST
        assignment[short & (assignment != TRAIN)] = UNUSED
        return assignment


def build(config: ColdItemConfig, context: BuildContext) -> ColdItem:
    """A splitter with these settings."""
    return ColdItem(config)


@hookimpl
def provide_splitters() -> list[SplitterSpec]:
    """The splitter `cold_item`."""
    return [
        SplitterSpec(
            name="cold_item",
            api_version=1,
            source="Schein, Popescul, Ungar and Pennock 2002, doi:10.1145/564376.564421",
            config=ColdItemConfig,
            build=build,
            needs=frozenset({"item_features"}),
            scenarios=frozenset({"cold_item"}),
        )
    ]
