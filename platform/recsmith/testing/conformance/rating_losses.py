"""What a loss that judges predicted ratings promises (`RatingLoss`); those that judge lists are left to `losses`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from recsmith.contracts.config import Choice
from recsmith.contracts.data import State
from recsmith.contracts.errors import NotFiniteError
from recsmith.contracts.plugins import RatingScale
from recsmith.contracts.training import Training
from recsmith.testing.conformance.subject import NotApplicableError, Violation, expect, unchanged
from recsmith.testing.logs import ratings_fold
from recsmith.training.loop import epochs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from recsmith.contracts.data import FloatArray, Requests
    from recsmith.contracts.training import Batch
    from recsmith.testing.conformance.subject import Subject

ERRORS = (0.0, 0.1, 0.5, 1.0, 2.0, 4.0)  # in the unit of ratings
FAR = 1e4
EPOCHS, SHARE = 40, 0.6  # of the error of the mean rating that must be left at most, after one of so many epochs


def gives_one_loss_for_each_rating(subject: Subject) -> None:
    """Each of P ratings gets one finite loss, [P] float32; also where a prediction is far off."""
    for label, loss in _cases(subject):
        for error in (*ERRORS, FAR):
            predicted, ratings = _pairs(error)
            value = loss(predicted.requires_grad_(), ratings)
            expect(value.shape == ratings.shape, f"{label}: the loss is {[*value.shape]}, not {[*ratings.shape]}")
            expect(value.dtype == torch.float32, f"{label}: the loss is {value.dtype} for float32 ratings")
            (gradient,) = torch.autograd.grad(value.sum(), predicted)
            for name, numbers in (("loss", value.detach()), ("gradient", gradient)):
                expect(torch.isfinite(numbers).all(), f"{label}: with an error of {error:g} the {name} is not finite")


def the_truth_costs_least(subject: Subject) -> None:
    """The further a prediction is from the rating, to either side, the more it costs."""
    for label, loss in _cases(subject):
        for sign in (1.0, -1.0):
            values = [loss(*_pairs(sign * error)) for error in ERRORS]
            for near, far, error in zip(values, values[1:], ERRORS[1:], strict=False):
                expect((far > near).all(), f"{label}: an error of {sign * error:g} costs no more than a smaller one")


def each_rating_stands_alone(subject: Subject) -> None:
    """The loss of a rating is the same whatever other ratings are in the batch: the trainer cuts batches up."""
    for label, loss in _cases(subject):
        predicted, ratings = _pairs(1.0)
        predicted = 1.5 * predicted  # errors that differ
        alone = torch.cat([loss(predicted[at : at + 1], ratings[at : at + 1]) for at in range(len(ratings))])
        expect(torch.allclose(loss(predicted, ratings), alone), f"{label}: a loss depends on the rest of the batch")


def leaves_the_ratings(subject: Subject) -> None:
    """Predictions and ratings are not written into."""
    for label, loss in _cases(subject):
        given = _pairs(1.0)
        unchanged(given, partial(loss, *given), f"{label}: predicted or ratings")


def learns_the_ratings(subject: Subject) -> None:
    """Offsets of users and items that the real trainer learns with this loss come to predict ratings."""
    _expect_ratings(subject)
    fold = ratings_fold()
    values = fold.train.histories.value
    if values is None:
        raise TypeError("a log of ratings has ratings")
    scale = RatingScale(float(values.mean()), float(values.min()), float(values.max()))
    context = subject.registry.context(item_counts=fold.train.counts, users=fold.train.users, seed=1, ratings=scale)
    model: Any = _Offsets(fold.train.users, fold.train.items, scale.mean)
    training = Training(learning_rate=0.05, batch_size=64, loss=subject.choice(), schedule=Choice(name="constant"))
    before = model.error(fold.train.histories.rows, fold.train.histories.item_num, values)
    best = before
    try:
        for _ in epochs(model, training, "pairs", fold.train, context, total_epochs=EPOCHS):
            best = min(best, model.error(fold.train.histories.rows, fold.train.histories.item_num, values))
            if best <= SHARE * before:
                return
    except NotFiniteError as error:
        raise Violation(str(error)) from error
    raise Violation(f"in {EPOCHS} epochs the mean error fell from {before:.2f} to {best:.2f}; {SHARE:.0%} must be left")


CHECKS = (
    gives_one_loss_for_each_rating,
    the_truth_costs_least,
    each_rating_stands_alone,
    leaves_the_ratings,
    learns_the_ratings,
)


class _Offsets:
    """Mean + offset of the user + offset of the item."""

    def __init__(self, users: int, items: int, mean: float) -> None:
        self.mean = mean
        self.module = nn.ModuleDict({"user": nn.Embedding(users, 1), "item": nn.Embedding(items, 1)})
        for table in self.module.values():
            nn.init.zeros_(table.weight)  # type: ignore[arg-type]

    def queries(self, batch: Batch) -> Tensor:
        offsets: Tensor = self.module["user"](batch.user)
        return offsets

    def logits(self, queries: Tensor, items: Tensor | None) -> Tensor:
        table: Any = self.module["item"].weight
        ratings: Tensor = self.mean + queries + (table.squeeze(1) if items is None else table[items].squeeze(-1))
        return ratings

    def error(self, users: Any, items: Any, ratings: FloatArray) -> float:
        """The mean absolute error on these ratings."""
        table: Any = self.module["user"].weight
        own: Any = self.module["item"].weight
        found = self.mean + table.detach().numpy()[users, 0] + own.detach().numpy()[items, 0]
        return float(np.abs(found - ratings).mean())

    def scores(self, requests: Requests) -> FloatArray:
        return np.zeros((len(requests), 1), np.float32)

    def state(self) -> State:
        return State()

    def load(self, state: State) -> None:
        pass


def _cases(subject: Subject) -> Iterator[tuple[str, Any]]:
    """Every corner of the loss's space."""
    _expect_ratings(subject)
    scale = RatingScale(3.0, 1.0, 5.0)
    context = subject.registry.context(item_counts=np.ones(4, np.int64), users=4, ratings=scale)
    for label, choice in subject.corners():
        yield label, subject.registry.build(subject.kind, choice, context)


def _expect_ratings(subject: Subject) -> None:
    if "ratings" not in subject.spec.offers:
        raise NotApplicableError("it judges lists")


def _pairs(error: float) -> tuple[Tensor, Tensor]:
    """Predictions that are off by so much, and the ratings, [P] each."""
    ratings = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0])
    return ratings + error, ratings
