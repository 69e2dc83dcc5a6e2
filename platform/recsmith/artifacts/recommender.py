"""The recommender that an artifact becomes: identifiers in, ranked identifiers out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from recsmith.artifacts.ensemble import Ensemble, Fallback, Question, Source
from recsmith.contracts.data import ABSENT, Histories, Requests
from recsmith.contracts.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    from recsmith.artifacts.catalogue import Catalogue
    from recsmith.contracts.artifact import Manifest
    from recsmith.contracts.data import BoolArray, FloatArray, IntArray

NAMED = 5  # unknown item ids that a note names


@dataclass(frozen=True, slots=True)
class Recommendation:
    """The answer to one request, best first; shorter than k where there are fewer candidates, never filled up.

    `source` is "model", "adapted" (a meta-learner adapted the model to this new user) or "popularity" (interactions
    in training, when nothing is known of the user that a model could use).
    """

    user_id: str | None
    items: tuple[str, ...]
    scores: tuple[float, ...]
    source: Source
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Asked:
    """B requests as numbers."""

    user_ids: Sequence[str | None]
    user_num: IntArray  # [B], ABSENT for an unknown user
    given: Histories  # of B lists: the known items of the histories that came with the requests
    with_history: BoolArray  # [B]: a history that is not empty came with the request
    unknown: Sequence[tuple[str, ...]]  # unknown items of each history


@dataclass(frozen=True, eq=False)
class Recommender:
    """A loaded artifact."""

    manifest: Manifest
    catalogue: Catalogue
    ensemble: Ensemble

    def recommend(
        self,
        user_ids: Sequence[str | None] | None = None,
        histories: Sequence[Sequence[str] | None] | None = None,
        k: int = 10,
        exclude_seen: bool | None = None,  # noqa: FBT001 - a setting with a name that says it all
    ) -> list[Recommendation]:
        """The best k items for each request.

        Args:
            user_ids: one per request, None for somebody without identifier. Without `histories` and without this, all
                known users. A known user without a history is answered from the one in the artifact.
            histories: item identifiers of each request, oldest first. They take the place of the recorded history;
                unknown ones are left out and named in `notes`, and if none is known the answer is the fallback.
            k: length of the lists.
            exclude_seen: leave out the items of the given and of the recorded history. None: as the study judged.

        Raises:
            DataError: `user_ids` and `histories` differ in length, hold no text, or `k` is below 1.
        """
        if k < 1:
            raise DataError(f"k is {k}: ask for 1 item at least.")
        asked = self._asked(user_ids, histories)
        mask = self.manifest.facts.mask_seen if exclude_seen is None else exclude_seen
        wanted = min(k, self.manifest.items)
        items = np.full((len(asked.user_num), wanted), ABSENT, np.int32)
        scores = np.full(items.shape, -np.inf, np.float32)
        sources: npt.NDArray[Any] = np.empty(len(items), dtype=object)
        for rows, source, question in self._questions(asked, wanted, mask_seen=mask):
            answerer = self._fallback if source == "popularity" else self.ensemble
            items[rows], scores[rows] = answerer.answer(question)
            sources[rows] = source
        return self._named(asked, items, scores, sources)

    def known_user(self, user_id: str) -> bool:
        """Whether training has seen this user."""
        return user_id in self._user_num

    @property
    def histories(self) -> Histories:
        """The recorded histories, in the order of `user_ids`."""
        return self.catalogue.histories

    @property
    def user_ids(self) -> npt.NDArray[Any]:
        """The identifier of every user number, [U] of str."""
        return self.catalogue.user_ids

    @property
    def item_ids(self) -> npt.NDArray[Any]:
        """The identifier of every item number, [I] of str."""
        return self.catalogue.item_ids

    @cached_property
    def _user_num(self) -> dict[str, int]:
        return {user: number for number, user in enumerate(self.user_ids.tolist())}

    @cached_property
    def _item_num(self) -> dict[str, int]:
        return {item: number for number, item in enumerate(self.item_ids.tolist())}

    @cached_property
    def _fallback(self) -> Fallback:
        return Fallback(self.catalogue.counts)

    def _asked(self, user_ids: Sequence[str | None] | None, histories: Sequence[Sequence[str] | None] | None) -> Asked:
        if user_ids is None:
            user_ids = self.user_ids.tolist() if histories is None else [None] * len(histories)
        lists = [None] * len(user_ids) if histories is None else histories
        if isinstance(user_ids, str) or len(user_ids) != len(lists):
            raise DataError(f"{len(user_ids)} user_ids and {len(lists)} histories: give a list of each, equally long.")
        for place, (user, history) in enumerate(zip(user_ids, lists, strict=True)):
            _check_text(place, user, history)
        numbers = [[self._item_num[item] for item in row or () if item in self._item_num] for row in lists]
        unknown = [tuple(item for item in row or () if item not in self._item_num) for row in lists]
        user_num = [ABSENT if user is None else self._user_num.get(user, ABSENT) for user in user_ids]
        indptr = np.concatenate([[0], np.cumsum([len(row) for row in numbers])]).astype(np.int64)
        flat = np.array([number for row in numbers for number in row], np.int32)
        with_history = np.array([bool(history) for history in lists], np.bool_)
        return Asked(user_ids, np.array(user_num, np.int32), Histories(indptr, flat), with_history, unknown)

    def _questions(
        self, asked: Asked, k: int, *, mask_seen: bool
    ) -> Iterator[tuple[npt.NDArray[np.int64], Source, Question]]:
        """The requests in at most four groups: their rows, who answers, and the question."""
        known, usable = asked.user_num != ABSENT, asked.given.lengths > 0
        new_users = self.ensemble.new_users
        recorded = known & ~asked.with_history
        informed = known & usable
        new = ~known & usable & (new_users != "popularity")
        groups: list[tuple[BoolArray, Source]] = [
            (recorded, "model"),
            (informed, "model"),
            (new, new_users),
            (~(recorded | informed | new), "popularity"),
        ]
        for group, (mask, source) in enumerate(groups):
            rows = np.flatnonzero(mask)
            if not len(rows):
                continue
            own = self._recorded(asked.user_num[rows])
            histories = own if group == 0 else asked.given.take(rows)
            requests = Requests(asked.user_num[rows], histories, histories_are_training=group == 0)
            exclude = own if mask_seen and group > 0 else None
            question = Question(
                requests, k, len(self._item_num), mask_seen, exclude, new=mask is new, among=self.catalogue.candidates
            )
            yield rows, source, question

    def _recorded(self, user_num: IntArray) -> Histories:
        """The recorded histories of users, an empty one for the unknown."""
        lists = self.histories
        open_end = Histories(
            np.append(lists.indptr, lists.indptr[-1]), lists.item_num, lists.timestamp, lists.value, lists.weight
        )
        return open_end.take(np.where(user_num == ABSENT, len(lists), user_num).astype(np.int64))

    def _named(
        self, asked: Asked, items: IntArray, scores: FloatArray, sources: npt.NDArray[Any]
    ) -> list[Recommendation]:
        names = self.item_ids[np.maximum(items, 0)].tolist()
        figures = scores.tolist()
        found = (items != ABSENT).sum(axis=1).tolist()
        return [
            Recommendation(user, tuple(names[row][:count]), tuple(figures[row][:count]), sources[row], _notes(unknown))
            for row, (user, count, unknown) in enumerate(zip(asked.user_ids, found, asked.unknown, strict=True))
        ]


def _check_text(place: int, user: object, history: object) -> None:
    if user is not None and not isinstance(user, str):
        raise DataError(f"user_ids[{place}] is {user!r}: identifiers are text, so {str(user)!r}.")
    if isinstance(history, str):
        raise DataError(f"histories[{place}] is the text {history!r}: give a list of item identifiers.")
    for item in history if isinstance(history, Iterable) else ():
        if not isinstance(item, str):
            raise DataError(f"histories[{place}] holds {item!r}: identifiers are text, so {str(item)!r}.")


def _notes(unknown: tuple[str, ...]) -> tuple[str, ...]:
    if not unknown:
        return ()
    more = f" and {len(unknown) - NAMED} more" if len(unknown) > NAMED else ""
    return (f"unknown items left out: {', '.join(map(repr, unknown[:NAMED]))}{more}",)
