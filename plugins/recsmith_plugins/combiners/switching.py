"""Switching: the length of a request's history says which member answers.

The first answers the shortest histories, the last the longest. So a member that needs few interactions serves those
who have few, and one that needs many serves those who have many.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import Field

from recsmith.contracts.config import Config
from recsmith.contracts.data import ABSENT
from recsmith.contracts.domains import Float, Int
from recsmith.contracts.errors import PlanError
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import CombinerSpec
from recsmith_plugins.blocks.chained_lists import chained

if TYPE_CHECKING:
    from recsmith.contracts.data import FloatArray, IntArray, LongArray
    from recsmith.contracts.plugins import BuildContext


class SwitchingConfig(Config):
    """Settings of the switch: M members have M - 1 thresholds."""

    first: Annotated[int, Int(2, 50, log=True)] = 5  # interactions from which on the second member answers
    factor: Annotated[float, Float(1.5, 5.0)] = 3.0  # every further threshold is so many times the one before it
    thresholds: tuple[Annotated[int, Field(ge=1)], ...] | None = None  # ascending; None: by `first` and `factor`


@dataclass(frozen=True)
class Switching:
    """The switching hybrid of Burke 2002, with the length of the history as its criterion.

    Member m answers a history of n interactions if exactly m thresholds are n or less. Where its list ends, the members
    after it fill up, then those before it, the nearest first. So a list is as long as all members together can make it.
    Its first list keeps its scores, those that fill up are lowered where scores would not descend (see `chained`).
    Scores of two requests compare only if the same member answers both.
    """

    config: SwitchingConfig

    def combine(
        self, items: list[IntArray], scores: list[FloatArray], k: int, lengths: LongArray
    ) -> tuple[IntArray, FloatArray]:
        """Switch between M lists [B, K_m] by lengths [B]: items [B, k] and scores [B, k].

        Places that no member fills hold ABSENT and -inf.

        Raises:
            PlanError: the number of thresholds is not the number of members less one.
        """
        members = len(items)
        answering = np.searchsorted(self._thresholds(members), lengths, side="right")  # [B]
        named = np.full((len(lengths), k), ABSENT, np.int32)
        kept = np.full((len(lengths), k), -np.inf, np.float32)
        for member in np.unique(answering).tolist():
            rows = np.flatnonzero(answering == member)
            turns = [*range(member, members), *reversed(range(member))]
            own = [items[turn][rows] for turn in turns], [scores[turn][rows] for turn in turns]
            named[rows], kept[rows] = chained(*own, k)
        return named, kept

    def _thresholds(self, members: int) -> tuple[float, ...]:
        """The interactions from which on the second, the third, ... member answers, ascending."""
        given, wanted = self.config.thresholds, members - 1
        if given is None:
            return tuple(self.config.first * self.config.factor**place for place in range(wanted))
        if len(given) != wanted:
            raise PlanError(f"switching: thresholds: {len(given)} given for {members} lists; give {wanted}, or none.")
        return given


def _build(config: SwitchingConfig, _context: BuildContext) -> Switching:
    given = config.thresholds or ()
    if any(later <= earlier for earlier, later in pairwise(given)):
        shown = ", ".join(map(str, given))
        raise PlanError(f"switching: thresholds: {shown} do not ascend; give each once, the smallest first.")
    return Switching(config)


@hookimpl
def provide_combiners() -> list[CombinerSpec]:
    """Offer the combiner."""
    return [
        CombinerSpec(
            name="switching",
            api_version=1,
            config=SwitchingConfig,
            build=_build,
            source="Burke 2002, doi:10.1023/A:1021240730564 (switching hybrid)",
        )
    ]
