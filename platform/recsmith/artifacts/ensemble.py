"""Who answers: the members of an artifact together, or the fallback when nothing is known of a user."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from recsmith.contracts.data import ABSENT, State
from recsmith.inference.ranking import rank

if TYPE_CHECKING:
    from recsmith.artifacts.members import Restored
    from recsmith.contracts.data import BoolArray, FloatArray, Histories, IntArray, LongArray, Requests
    from recsmith.contracts.models import Model
    from recsmith.contracts.plugins import Combiner

Source = Literal["model", "adapted", "popularity"]


@dataclass(frozen=True, eq=False)
class Question:
    """Requests of one kind: `new` ones come from users that training has not seen."""

    requests: Requests
    k: int
    items: int  # I
    mask_seen: bool
    exclude: Histories | None = None
    new: bool = False
    among: BoolArray | None = None  # [I], which may be recommended; None: all

    def ranked(self, model: Model, k: int) -> tuple[IntArray, FloatArray]:
        """A model's lists: items [B, k] and scores [B, k], best first."""
        return rank(
            model,
            self.requests,
            k,
            items=self.items,
            mask_seen=self.mask_seen,
            exclude=self.exclude,
            among=self.among,
        )


@dataclass(frozen=True, eq=False)
class Ensemble:
    """M members, and how their lists become one (None: the only member's list is the answer)."""

    members: tuple[Restored, ...]
    combiner: Combiner | None
    depth: int  # of the members' lists, at least

    @property
    def new_users(self) -> Source:
        """How a new user with a history is answered."""
        kinds = {member.new_users for member in self.members}
        return "adapted" if "adapted" in kinds else "model" if "model" in kinds else "popularity"

    def answer(self, question: Question) -> tuple[IntArray, FloatArray]:
        """Items [B, K] and scores [B, K], best first; ABSENT and -inf where there is no candidate."""
        if self.combiner is None:
            return self._list(self.members[0], question, question.k)
        depth = max(self.depth, question.k)
        lists = [self._list(member, question, depth) for member in self.members]
        items, scores = [ranked for ranked, _ in lists], [values for _, values in lists]
        return self.combiner.combine(items, scores, question.k, question.requests.histories.lengths)

    def _list(self, member: Restored, question: Question, k: int) -> tuple[IntArray, FloatArray]:
        """One member's list; an empty one where it cannot serve new users, so that weights keep their members."""
        if question.new and member.new_users is None:
            shape = (len(question.requests), k)
            return np.full(shape, ABSENT, np.int32), np.full(shape, -np.inf, np.float32)
        return question.ranked(member.model, k)


@dataclass(frozen=True, eq=False)
class Fallback:
    """Recommends what training saw most often; a model like any other."""

    counts: LongArray  # [I]

    def answer(self, question: Question) -> tuple[IntArray, FloatArray]:
        """Items [B, K] and scores [B, K], best first."""
        return question.ranked(self, question.k)

    def scores(self, requests: Requests) -> FloatArray:
        """The counts, once per request, [B, I]."""
        return np.tile(self.counts.astype(np.float32), (len(requests), 1))

    def state(self) -> State:
        """The counts."""
        return State(arrays={"counts": self.counts})

    def load(self, state: State) -> None:
        """Take nothing: a fallback is born with its counts."""
