"""One member of an artifact learns from newer rows: from where it stands, or from the beginning."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from recsmith.study.prepare import Prepared, built, learn
from recsmith.updates.features import grown_content
from recsmith.updates.growth import NotGrownError, Renumbering, check_scores, grow

if TYPE_CHECKING:
    from recsmith.artifacts.members import Member
    from recsmith.contracts.data import BoolArray, Fold, Histories, Interactions
    from recsmith.updates.settings import UpdateSettings
    from recsmith.wiring.registry import Registry

Way = Literal["continued", "refitted"]
UNUSABLE = (NotGrownError, KeyError, ValueError, TypeError, IndexError, AttributeError, RuntimeError)


@dataclass(frozen=True, eq=False)
class Lesson:
    """What the members of one artifact learn from."""

    fold: Fold  # the rows, old and new
    histories: Histories  # of the users that the artifact knows, by its own numbers
    numbers: Renumbering  # from the artifact's to the fold's
    fresh: BoolArray  # [U] users with new rows
    settings: UpdateSettings
    registry: Registry
    seed: int


@dataclass(frozen=True, eq=False)
class Learnt:
    """A member after the lesson."""

    prepared: Prepared
    way: Way
    why: str = ""  # a gradient model did not go on from its weights


def learn_more(member: Member, lesson: Lesson, *, epochs: int | None = None) -> Learnt:
    """Continue a gradient model with replay; fit anew what has no weights to go on from, or cannot be grown.

    `member.model` is the model that scores as the artifact does. `epochs` is how many the study took, for a gradient
    model that must begin anew; None: as its settings say.

    Raises:
        MemoryError: by its own word the model does not fit into the memory of this machine.
        NotFiniteError: a loss is NaN or infinite.
    """
    content = grown_content(member, lesson.fold, lesson.numbers, lesson.registry)

    def fresh() -> Prepared:
        return built(member.configuration, lesson.fold, lesson.registry, content, seed=lesson.seed)

    prepared, train = fresh(), lesson.fold.train
    training = prepared.training
    if training is None:
        _to_the_end(prepared, train)
        return Learnt(prepared, "refitted")
    try:
        _take_over(member, prepared, lesson)
    except UNUSABLE as error:
        prepared = fresh()
        as_long = training.model_copy(update={"epochs": epochs or training.epochs})
        prepared = replace(prepared, config=prepared.config.model_copy(update={"training": as_long}))
        _to_the_end(prepared, train)
        return Learnt(prepared, "refitted", f"{member.configuration.name}: fitted anew, since {error}.")
    share = 1.0 if hasattr(prepared.model, "graph") else lesson.settings.replay  # a graph is that of all rows
    rows = replayed(train, lesson.fresh, share, lesson.seed)
    for _ in learn(prepared, rows, factors=[(lesson.settings.rate,)] * lesson.settings.epochs):
        pass
    return Learnt(prepared, "continued")


def _take_over(member: Member, prepared: Prepared, lesson: Lesson) -> None:
    """Give the untrained model the member's state, grown.

    Raises:
        NotGrownError: it cannot be grown.
        Exception: of `UNUSABLE`: the model cannot be built for other sizes, or does not take the grown state.
    """
    prepared.model.load(grow(member.state, prepared, lesson.numbers))
    if member.model is not None:
        check_scores(member.model, prepared.serving, lesson.histories, lesson.numbers)


def _to_the_end(prepared: Prepared, interactions: Interactions) -> None:
    for _ in learn(prepared, interactions):
        pass


def replayed(interactions: Interactions, fresh: BoolArray, share: float, seed: int) -> Interactions:
    """The whole histories of the users with new rows, and those of a random `share` of the others.

    Whole histories, so that what a user took is never drawn as a negative, and sequences keep their context.
    """
    others = np.flatnonzero(~fresh)
    kept = fresh.copy()
    kept[np.random.default_rng(seed).permutation(others)[: round(share * len(others))]] = True
    histories = interactions.histories
    return replace(interactions, histories=histories.where(kept[histories.rows]), context=())
