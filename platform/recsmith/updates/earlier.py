"""An artifact's models as one model in the numbering of a later fold: judged on the same requests as the later ones."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from recsmith.artifacts.ensemble import Question
from recsmith.contracts.data import ABSENT, Requests, State

if TYPE_CHECKING:
    from recsmith.artifacts.ensemble import Ensemble
    from recsmith.contracts.data import FloatArray, IntArray, LongArray
    from recsmith.updates.growth import Renumbering


@dataclass(frozen=True, eq=False)
class Earlier:
    """Answers as the artifact serves: users that it does not know as new ones, from the items that it knows.

    Items that came later are no candidates (-inf); as predicted ratings they get the mean of the others.
    """

    ensemble: Ensemble
    counts: LongArray  # [I before] the fallback
    users: IntArray  # [U after] numbers before, ABSENT for those that came later
    items: IntArray  # [I after] likewise
    mask_seen: bool
    rating: bool = False

    @classmethod
    def of(
        cls, ensemble: Ensemble, counts: LongArray, numbers: Renumbering, *, mask_seen: bool, rating: bool
    ) -> Earlier:
        """The artifact in the numbering that `numbers` lead to."""
        users, items = (np.full(after, ABSENT, np.int32) for after in (numbers.users_after, numbers.items_after))
        users[numbers.users] = np.arange(len(numbers.users))
        items[numbers.items] = np.arange(len(numbers.items))
        return cls(ensemble, counts, users, items, mask_seen, rating)

    def scores(self, requests: Requests) -> FloatArray:
        """Scores [B, I after]."""
        asked = self._renumbered(requests)
        scores = np.full((len(requests), len(self.items)), -np.inf, np.float32)
        there = self.items != ABSENT
        known = asked.user_num != ABSENT
        new = ~known & (asked.histories.lengths > 0) & (self.ensemble.new_users != "popularity")
        for rows, is_new in ((known, False), (new, True)):
            if rows.any():
                chosen = np.flatnonzero(rows)
                answer = self._answer(asked.take(chosen), new=is_new)
                scores[np.ix_(chosen, there)] = answer[:, self.items[there]]
        nobody = np.flatnonzero(~(known | new))
        scores[np.ix_(nobody, there)] = self.counts[self.items[there]]
        if self.rating and not there.all():
            scores[:, ~there] = scores[:, there].mean(axis=1, keepdims=True)
        return scores

    def _renumbered(self, requests: Requests) -> Requests:
        known = requests.user_num != ABSENT
        user_num = np.where(known, self.users[requests.user_num], ABSENT).astype(np.int32)
        item_num = self.items[requests.histories.item_num]
        histories = replace(requests.histories, item_num=item_num).where(item_num != ABSENT)
        return Requests(user_num, histories)

    def _answer(self, requests: Requests, *, new: bool) -> FloatArray:
        """Scores [b, I before]; where members are joined, those of the joined list."""
        if self.ensemble.combiner is None:
            return self.ensemble.members[0].model.scores(requests)
        size = len(self.counts)
        question = Question(requests, min(self.ensemble.depth, size), size, self.mask_seen, new=new)
        items, values = self.ensemble.answer(question)
        scores = np.full((len(requests), size), -np.inf, np.float32)
        rows, places = np.nonzero(items != ABSENT)
        scores[rows, items[rows, places]] = values[rows, places]
        return scores

    def state(self) -> State:
        """Nothing: it is the artifact that is kept."""
        return State()

    def load(self, state: State) -> None:
        """Take nothing."""
