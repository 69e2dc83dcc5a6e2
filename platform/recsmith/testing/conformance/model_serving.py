"""Whom a model serves: every sort of request and of log that the platform may bring."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from recsmith.contracts.data import ABSENT, Requests
from recsmith.testing.conformance.model_ground import (
    ITEMS,
    LONGEST,
    UNTAKEN,
    ask,
    everyone,
    learnt,
    served,
    small_fold,
)
from recsmith.testing.conformance.subject import NotApplicableError, Violation

if TYPE_CHECKING:
    from recsmith.contracts.data import FloatArray, Fold
    from recsmith.contracts.models import Model
    from recsmith.testing.conformance.subject import Subject

LONG = 500  # interactions; longer than the windows and supports that models are usually given
RELATIVE, ABSOLUTE = 1e-3, 1e-4  # how much rounding may tell; absolute in units of the largest score


def usual_requests(subject: Subject, fold: Fold, model: Model) -> dict[str, Requests]:
    """What every model must serve: the users of training with their rows, and anybody with another history."""
    users = everyone(subject, model)
    others = ask([[1, 4, 2]] * len(users), list(users.values()))
    return {"the users of training": fold.holdout.requests, " and ".join(users) + " with three items": others}


def a_request_is_scored_alone_as_in_a_batch(subject: Subject) -> None:
    """The scores of a request do not depend on who else is in its batch, nor on the batch's size or order."""
    fold = small_fold()
    model = learnt(subject, fold).serving
    requests = fold.holdout.requests
    whole = served(model, requests, ITEMS, f"a batch of {len(requests)}")
    for size in (1, 7):
        pieces = [served(model, part, ITEMS, f"a batch of {len(part)}") for part in requests.chunks(size)]
        _alike(whole, np.concatenate(pieces), f"in batches of {size}")
    backwards = np.arange(len(requests) - 1, -1, -1, dtype=np.int64)
    turned = served(model, requests.take(backwards), ITEMS, "a batch backwards")
    _alike(whole, turned[backwards], "in a batch backwards")


def _alike(whole: FloatArray, other: FloatArray, what: str) -> None:
    off = ~np.isclose(other, whole, rtol=RELATIVE, atol=ABSOLUTE * max(1e-12, float(np.abs(whole).max())))
    if off.any():
        row, item = np.argwhere(off)[0]
        seen = f"{whole[row, item]:.6g} in a batch of {len(whole)}, {other[row, item]:.6g} {what}"
        raise Violation(f"request {row}, item {item} scores {seen}")


def unseen_users_are_served(subject: Subject) -> None:
    """A model that offers "new_users" serves users that training has not seen, alone and beside known ones."""
    if "new_users" not in subject.spec.offers:
        raise NotApplicableError('it does not offer "new_users"')
    model = learnt(subject, small_fold()).serving
    served(model, ask([[1, 4], [2, 6]], [ABSENT, ABSENT]), ITEMS, "two new users (user_num ABSENT)")
    served(model, ask([[1, 4], [2, 6], [4, 1]], [ABSENT, 3, ABSENT]), ITEMS, "a known user between two new ones")


def known_users_may_bring_another_history(subject: Subject) -> None:
    """Known users are served with other histories than those in training, in any order, the same user twice."""
    model = learnt(subject, small_fold()).serving
    served(model, ask([[1, 4, 2], [5, 6]], [7, 3]), ITEMS, "two known users with other histories")
    served(model, ask([[1, 4, 2], [5, 6], [2, 4]], [7, 3, 7]), ITEMS, "a known user twice with two other histories")


def untaken_items_are_served(subject: Subject) -> None:
    """An item that nobody took in training is scored, and may stand in a history."""
    model = learnt(subject, small_fold()).serving
    for who, user in everyone(subject, model).items():
        served(model, ask([[UNTAKEN, UNTAKEN]], [user]), ITEMS, f"{who} whose items nobody took in training")
        served(model, ask([[2, UNTAKEN, 3]], [user]), ITEMS, f"{who} with an item that nobody took in training")


def short_histories_are_served(subject: Subject) -> None:
    """An empty history and a history of one interaction are served, and one interaction can be learnt from."""
    model = learnt(subject, small_fold(shortest=1)).serving
    for who, user in everyone(subject, model).items():
        served(model, ask([[]], [user]), ITEMS, f"{who} with an empty history")
        served(model, ask([[], [1, 4], []], [user, 5, 7]), ITEMS, f"{who} with an empty history, beside another")
        served(model, ask([[4]], [user]), ITEMS, f"{who} with one interaction")


def long_histories_are_served(subject: Subject) -> None:
    """A history longer than any in training is served, repeats and all."""
    model = learnt(subject, small_fold()).serving
    walk = np.arange(LONG) % UNTAKEN
    long = f"{LONG} interactions, where the longest history in training has {LONGEST}"
    for who, user in everyone(subject, model).items():
        served(model, ask([walk], [user]), ITEMS, f"{who} with {long}")
        served(model, ask([[2, 4], walk], [5, user]), ITEMS, f"a known user with 2 interactions and {who} with {long}")


def a_history_may_be_items_alone(subject: Subject) -> None:
    """A request whose history has neither moments nor ratings nor weights is served: a server knows no more."""
    model = learnt(subject, small_fold()).serving
    for who, user in everyone(subject, model).items():
        asked = ask([[1, 4, 2]], [user])
        bare = replace(asked.histories, timestamp=None, value=None, weight=None)
        served(model, replace(asked, histories=bare), ITEMS, f"{who} with three items and nothing else")


def a_log_may_be_bare(subject: Subject) -> None:
    """A log without moments, ratings, weights, order and columns will do, unless the spec says what it needs."""
    needs = subject.spec.needs
    fold = small_fold()
    histories = fold.train.histories
    bare = replace(
        histories,
        timestamp=histories.timestamp if "timestamps" in needs else None,
        value=histories.value if "values" in needs else None,
        weight=None,
    )
    plain = replace(
        fold,
        train=replace(fold.train, histories=bare, ordered=bool({"timestamps", "order"} & needs)),
        holdout=replace(fold.holdout, requests=replace(fold.holdout.requests, histories=bare)),
        items=fold.items if "item_features" in needs else (),
        capabilities=needs,
    )
    model = learnt(subject, plain).serving
    served(model, plain.holdout.requests, ITEMS, f"a log that has {', '.join(sorted(needs)) or 'nothing'} only")


CHECKS = (
    a_request_is_scored_alone_as_in_a_batch,
    unseen_users_are_served,
    known_users_may_bring_another_history,
    untaken_items_are_served,
    short_histories_are_served,
    long_histories_are_served,
    a_history_may_be_items_alone,
    a_log_may_be_bare,
)
