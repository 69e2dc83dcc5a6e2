"""What a model gets right on logs with a known answer, and whether its memory is as it states."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from recsmith.contracts.data import ABSENT, Interactions, Requests, State
from recsmith.contracts.errors import NotFiniteError
from recsmith.evaluation.judge import judge
from recsmith.study.prepare import learn, prepare
from recsmith.testing.conformance.model_ground import (
    default,
    for_ratings,
    trained_by,
    with_needs,
)
from recsmith.testing.conformance.model_memory import memory_is_as_stated
from recsmith.testing.conformance.subject import NotApplicableError, Violation, expect
from recsmith.testing.logs import (
    cycle_fold,
    fold_of,
    groups_fold,
    histories_of,
    holdout_of,
    popular_fold,
    ratings_fold,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from recsmith.contracts.data import FloatArray, Fold
    from recsmith.study.prepare import Prepared
    from recsmith.testing.conformance.subject import Subject

# A gradient model may learn quickly, or at its own default rate; the first that gives the right answer is enough.
TRAININGS: tuple[Mapping[str, Any], ...] = (
    {"epochs": 30, "batch_size": 32, "learning_rate": 1e-2},
    {"epochs": 30, "batch_size": 32},
)
NOISE = 0.3 * math.sqrt(2 / math.pi)  # mean absolute error on the ratings log of whoever knows all offsets
STANDING = 5  # first epochs with one and the same figure: nothing is being learnt
ABOVE = 0.9  # share of other groups' items that a new item of the own group must stand above


@dataclass(frozen=True)
class Answer:
    """One log, and the figure that whoever has understood it reaches."""

    log: str
    fold: Fold
    metric: str
    right: float
    sign: float = 1.0  # -1 where less is better

    def reached(self, figure: float) -> bool:
        """Whether a figure is good enough."""
        return self.sign * figure >= self.sign * self.right

    def told(self, figure: float) -> str:
        """The figure in words."""
        bound = f"{self.right:.2f} or {'more' if self.sign > 0 else 'less'}"
        return f"{self.log}: {self.metric} {figure:.2f} ({bound} is right)"


# --- known answers ----------------------------------------------------------------------------------------------------


def it_learns_a_ranking(subject: Subject) -> None:
    """A model that offers "ranking" finds the answer of a log of groups, of a cycle, or of popular items."""
    _offers(subject, "ranking")
    _answers_one(subject, _rankings(subject))


def it_learns_ratings(subject: Subject) -> None:
    """A model that offers "ratings" predicts them much better than their mean does."""
    _offers(subject, "ratings")
    _answers_one(subject, [_ratings(ratings_fold())])


def it_serves_new_users_well(subject: Subject) -> None:
    """A model that offers "new_users" is as right about users whose history it sees for the first time."""
    _offers(subject, "new_users")
    answers = [*_rankings(subject)] if "ranking" in subject.spec.offers else []
    if "ratings" in subject.spec.offers:
        answers.append(_ratings(ratings_fold()))
    _answers_one(subject, [replace(answer, fold=_of_strangers(answer.fold)) for answer in answers])


def it_ranks_new_items_well(subject: Subject) -> None:
    """A model that offers "new_items" ranks items of a user's group that nobody took yet above those of others."""
    _offers(subject, "new_items")
    groups = 4
    fold = with_needs(groups_fold(groups=groups), subject.spec)
    rows = [fold.train.histories.of(user) for user in range(fold.train.users)]
    train = histories_of([row[row >= groups] for row in rows])  # items 0 to 3, one of each group, are new
    targets = [np.array([user % groups]) for user in range(len(rows))]
    fold = with_needs(fold_of(train, targets, items=fold.train.items, columns=fold.items), subject.spec)
    group_of = np.arange(fold.train.items) % groups

    def above(prepared: Prepared) -> float:
        scores = prepared.serving.scores(fold.holdout.requests)
        own = np.arange(len(scores)) % groups
        new = scores[np.arange(len(scores)), own][:, None]
        others = group_of[None, :] != own[:, None]
        return float(np.mean(((new > scores) + 0.5 * (new == scores))[others]))

    figure = _best(subject, Answer("groups", fold, "share", ABOVE), above)
    seen = f"new items of the own group stand above {figure:.0%} of the items of other groups"
    expect(figure >= ABOVE, f"{seen}; {ABOVE:.0%} is right, chance is 50%")


def _offers(subject: Subject, what: str) -> None:
    if what not in subject.spec.offers:
        raise NotApplicableError(f'it does not offer "{what}"')


def _rankings(subject: Subject) -> list[Answer]:
    groups, cycle, popular = (with_needs(f, subject.spec) for f in (groups_fold(), cycle_fold(), _popular_fold()))
    counts = judge(_Counts(popular.train.counts), popular, ["ndcg@10"], subject.registry).figures["ndcg@10"]
    return [
        Answer("groups", groups, "hit_rate@10", 0.9),
        Answer("cycle", cycle, "ndcg@10", 0.9),
        Answer("popular", popular, "ndcg@10", 0.9 * counts),
    ]


def _ratings(fold: Fold) -> Answer:
    """Right is who comes three quarters of the way from the mean's error to the noise."""
    known, asked = (np.asarray(part, np.float64) for part in (fold.train.histories.value, fold.holdout.target_value))
    error = float(np.abs(asked - known.mean()).mean())
    return Answer("ratings", fold, "mae", NOISE + (error - NOISE) / 4, sign=-1.0)


def _popular_fold() -> Fold:
    """The log of popular items with the items numbered at random: equal scores must not be the right answer."""
    fold = popular_fold(users=200, items=60)
    number = np.random.default_rng(5).permutation(fold.train.items).astype(np.int32)
    histories = replace(fold.train.histories, item_num=number[fold.train.histories.item_num])
    targets = number[fold.holdout.target_item]
    return fold_of(histories, list(targets[:, None]), items=fold.train.items)


@dataclass(frozen=True)
class _Counts:
    """Ranks by interactions in training."""

    counts: np.ndarray

    def scores(self, requests: Requests) -> FloatArray:
        return np.tile(self.counts.astype(np.float32), (len(requests), 1))

    def state(self) -> State:
        return State()

    def load(self, state: State) -> None:
        pass


def _of_strangers(fold: Fold) -> Fold:
    """The last quarter of the users is unknown to training and asks with its history."""
    known = fold.train.users * 3 // 4
    rows = np.arange(fold.train.users)
    histories, held = fold.train.histories, fold.holdout
    requests = Requests(np.full(len(rows) - known, ABSENT, np.int32), histories.take(rows[known:]))
    pieces = [slice(held.target_indptr[row], held.target_indptr[row + 1]) for row in rows[known:]]
    values = None if held.target_value is None else [held.target_value[piece] for piece in pieces]
    return replace(
        fold,
        train=Interactions(histories.take(rows[:known]), known, fold.train.items, ordered=fold.train.ordered),
        holdout=holdout_of(requests, [held.target_item[piece] for piece in pieces], values),
        user_ids=fold.user_ids[:known],
    )


def _answers_one(subject: Subject, answers: list[Answer]) -> None:
    told = []
    for answer in answers:
        figure = _best(subject, answer, partial(_judged, subject, answer))
        if answer.reached(figure):
            return
        told.append(answer.told(figure))
    raise Violation(f"it has not understood {'any of the logs' if len(told) > 1 else 'the log'}: {'; '.join(told)}")


def _judged(subject: Subject, answer: Answer, prepared: Prepared) -> float:
    scenario = "rating" if answer.sign < 0 else "next_item"
    found = judge(prepared.serving, answer.fold, [answer.metric], subject.registry, scenario=scenario)
    return found.figures[answer.metric]


def _best(subject: Subject, answer: Answer, figure_of: Callable[[Prepared], float]) -> float:
    """The best figure after any epoch, or the first that is right."""
    found = [-answer.sign * math.inf]
    choice = default(subject, answer.fold)
    if answer.sign < 0:
        choice = for_ratings(subject, choice)
    for training in TRAININGS if subject.spec.training == "gradient" else ({},):
        prepared = prepare(trained_by(subject.spec, choice, training), answer.fold, subject.registry, seed=1)
        try:
            for done in learn(prepared, answer.fold.train):
                found.append(figure_of(prepared))
                if answer.reached(found[-1]):
                    return found[-1]
                if done.epoch == STANDING and len(set(found[-STANDING:])) == 1:
                    break
        except NotFiniteError:
            continue
    return max(found, key=lambda figure: answer.sign * figure)


CHECKS = (
    it_learns_a_ranking,
    it_learns_ratings,
    it_serves_new_users_well,
    it_ranks_new_items_well,
    memory_is_as_stated,
)
