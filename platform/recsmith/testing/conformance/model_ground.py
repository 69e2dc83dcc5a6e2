"""What the checks of models stand on: a small log that has everything, quick learning, and requests of every sort."""

from __future__ import annotations

import random
import traceback
from contextlib import contextmanager, suppress
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from recsmith.contracts.config import Choice
from recsmith.contracts.data import ABSENT, Column, Requests
from recsmith.study.prepare import learn, prepare
from recsmith.testing.conformance.subject import NotApplicableError, Violation, expect, round_trip
from recsmith.testing.logs import fold_of, histories_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy.typing as npt

    from recsmith.contracts.data import FloatArray, Fold, State
    from recsmith.contracts.models import Model
    from recsmith.contracts.plugins import ModelSpec
    from recsmith.study.prepare import Prepared
    from recsmith.testing.conformance.subject import Subject

USERS, ITEMS = 24, 20  # of the small log
UNTAKEN = ITEMS - 1  # known from the item table only
LONGEST = 9  # history of the small log
SMALL: Mapping[str, Any] = {"epochs": 3, "batch_size": 8, "learning_rate": 5e-3}  # a gradient model's training


# --- logs -------------------------------------------------------------------------------------------------------------


def small_fold(shortest: int = 2) -> Fold:
    """24 users and 20 items with moments, ratings, weights, repeats and two item columns; one item nobody took."""
    rng = np.random.default_rng(7)
    lists = [rng.integers(0, UNTAKEN, max(shortest, 1 + user % LONGEST)) for user in range(USERS)]
    histories = histories_of(lists, [rng.integers(1, 6, len(row)) for row in lists])
    weight = rng.integers(1, 4, len(histories.item_num)).astype(np.float32)
    targets = list(rng.integers(0, UNTAKEN, (USERS, 1)))
    return fold_of(replace(histories, weight=weight), targets, items=ITEMS, columns=item_columns(ITEMS))


def item_columns(items: int) -> tuple[Column, ...]:
    """A category and a title of every item, which tell four groups apart."""
    category = np.array([f"group {item % 4}" for item in range(items)], dtype=object)
    title = np.array([f"thing{item} of kind{item % 4}" for item in range(items)], dtype=object)
    return Column("category", "category", category), Column("title", "text", title)


def with_needs(fold: Fold, spec: ModelSpec) -> Fold:
    """The fold with the ratings, item columns and domains that the model needs, where it has none: they say nothing."""
    missing = spec.needs - fold.capabilities
    if "item_features" in missing:
        fold = replace(fold, items=item_columns(fold.train.items))
    if "target_domain" in missing:
        fold = replace(fold, candidates=np.arange(fold.train.items) % 2 == 1)
    if "values" in missing:
        histories = fold.train.histories
        value = np.random.default_rng(3).integers(3, 6, len(histories.item_num)).astype(np.float32)
        rated = replace(histories, value=value)
        requests = replace(fold.holdout.requests, histories=rated)
        fold = replace(
            fold, train=replace(fold.train, histories=rated), holdout=replace(fold.holdout, requests=requests)
        )
    return fold


# --- learning ---------------------------------------------------------------------------------------------------------


def default(subject: Subject, fold: Fold) -> Choice:
    """The default configuration for a log with the fold's columns."""
    return next(subject.corners(fold.columns))[1]


def trained_by(spec: ModelSpec, choice: Choice, training: Mapping[str, Any]) -> Choice:
    """The configuration with other settings of a gradient model's training; a closed form's is as it was."""
    if spec.training != "gradient":
        return choice
    changed = {**choice.params.get("training", {}), **training}
    return Choice(name=choice.name, params={**choice.params, "training": changed})


def for_ratings(subject: Subject, choice: Choice) -> Choice:
    """The configuration as the scenario rating has it: a gradient model's loss is one of ratings."""
    losses = subject.registry.specs["losses"]
    training = choice.params.get("training")
    if training is None or "ratings" in losses[training["loss"]["name"]].offers:
        return choice
    loss = next(name for name, spec in losses.items() if "ratings" in spec.offers)
    return trained_by(subject.spec, choice, {"loss": {"name": loss}})


def ready(subject: Subject, fold: Fold, seed: int = 1) -> Prepared:
    """The model in its default configuration, built and not yet learnt."""
    choice = trained_by(subject.spec, default(subject, fold), SMALL)
    return prepare(choice, fold, subject.registry, seed=seed)


def learnt(subject: Subject, fold: Fold) -> Prepared:
    """The model after all of its few epochs."""
    prepared = ready(subject, fold)
    for _ in learn(prepared, fold.train):
        pass
    return prepared


def gradient_only(subject: Subject) -> None:
    """Leave a check to models that learn epoch by epoch.

    Raises:
        NotApplicableError: this one is fitted in one go.
    """
    if subject.spec.training != "gradient":
        raise NotApplicableError("a closed form is fitted in one go")


def kept(state: State) -> State:
    """The state as an artifact gives it back; as it is where it cannot be kept, which another check tells."""
    try:
        return round_trip(state)
    except Violation:
        return state


# --- requests ---------------------------------------------------------------------------------------------------------


def ask(lists: Sequence[npt.ArrayLike], users: Sequence[int]) -> Requests:
    """Requests of these users with these histories, ratings among them."""
    values = [np.full(len(np.asarray(row)), 4.0) for row in lists]
    return Requests(np.array(users, np.int32), histories_of(lists, values))


def everyone(subject: Subject, model: Model) -> dict[str, int]:
    """Who may ask: a known user, and where the model serves those, one that training has not seen.

    A model that should serve new users and cannot is told so by one check, not by all.
    """
    known = {"a known user": 3}
    if "new_users" in subject.spec.offers:
        with suppress(Exception):
            model.scores(ask([[1, 4]], [ABSENT]))
            return {**known, "a new user": ABSENT}
    return known


def served(model: Model, requests: Requests, items: int, what: str) -> FloatArray:
    """A copy of the scores for requests that the model must serve, [B, I].

    Raises:
        Violation: it raised, or they have another shape, or one of them is not finite; it begins with `what`.
    """
    try:
        scores: FloatArray = np.array(model.scores(requests))
    except Exception as error:
        raise Violation(f"{what}: scores() raised {named(error)}") from error
    shape = (len(requests), items)
    expect(scores.shape == shape, f"{what}: scores have the shape {list(scores.shape)}, not [B, I] = {list(shape)}")
    wrong = np.argwhere(~np.isfinite(scores))
    if len(wrong):
        row, item = wrong[0]
        place = f"the first is {scores[row, item]} for request {row}, item {item}"
        raise Violation(f"{what}: {len(wrong)} of {scores.size} scores are NaN or infinite; {place}")
    return scores


def named(error: Exception) -> str:
    """What went wrong and in which line."""
    where = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error} ({Path(where.filename).name}:{where.lineno})"


# --- the world around -------------------------------------------------------------------------------------------------


@contextmanager
def global_state(seed: int) -> Iterator[None]:
    """Inside the block the global random states are those of `seed`; afterwards what they were."""
    before = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002 - a plugin may use it
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    torch.manual_seed(seed)
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])  # noqa: NPY002
        torch.set_rng_state(before[2])


def frozen(thing: Any) -> Any:
    """The same thing with every array in it read-only, as arrays are that trials share."""
    if isinstance(thing, np.ndarray):
        thing.flags.writeable = False
    elif hasattr(thing, "indptr") and hasattr(thing, "indices"):  # a sparse matrix
        for part in (thing.data, thing.indices, thing.indptr):
            frozen(part)
    elif is_dataclass(thing):
        for field in fields(thing):
            frozen(getattr(thing, field.name))
    elif isinstance(thing, dict):
        for value in thing.values():
            frozen(value)
    return thing
