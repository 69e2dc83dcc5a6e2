"""Published: the log's own column `split` says what is trained on and what is held out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import Field

from recsmith.contracts.config import Config
from recsmith.contracts.data import TRAIN, VALID, LogColumns
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import SplitterSpec

if TYPE_CHECKING:
    import numpy.typing as npt

    from recsmith.contracts.data import BoolArray
    from recsmith.contracts.plugins import BuildContext

FEWEST = 3  # training interactions of a user who is validated, where the validation is drawn


class PublishedConfig(Config):
    """What to do where the labels name no validation."""

    valid: Annotated[float, Field(gt=0, lt=1)] = 0.1  # share of each user's training rows; only without such labels


class Published:
    """Takes the labels as they are; draws a validation from the training rows where none is labelled so."""

    def __init__(self, config: PublishedConfig) -> None:
        self.config = config

    def split(self, log: LogColumns, seed: int) -> npt.NDArray[np.int8]:
        """Assign every interaction, [N]; one without a label is unused.

        A drawn validation is the rounded share, at least one and never all of a user's training rows; users with fewer
        than three of them only train. It depends on the training rows alone, not on how many are tested.
        """
        if log.split is None:
            raise ValueError("a published split needs the labels that the log carries")
        assignment = log.split.astype(np.int8, copy=True)
        if not (assignment == VALID).any():
            train = np.flatnonzero(assignment == TRAIN)
            own = LogColumns(log.user[train], log.item[train], timestamp=None, value=None, ordered=False)
            assignment[train[self._drawn(own, seed)]] = VALID
        return assignment

    def _drawn(self, train: LogColumns, seed: int) -> BoolArray:
        counts = train.user_counts
        share = np.clip(np.floor(counts * self.config.valid + 0.5), 1, np.maximum(counts - 1, 1))
        drawn: BoolArray = (counts >= FEWEST)[train.user] & (train.places(seed) < share[train.user])
        return drawn


def build(config: PublishedConfig, context: BuildContext) -> Published:
    """A splitter with these settings."""
    return Published(config)


@hookimpl
def provide_splitters() -> list[SplitterSpec]:
    """The splitter `published`."""
    return [
        SplitterSpec(
            name="published",
            api_version=1,
            source="none: the labels of whoever published the log",
            config=PublishedConfig,
            build=build,
            needs=frozenset({"split"}),
            scenarios=frozenset({"next_item", "rating"}),
        )
    ]
