"""What the objective leaves in the parameters is the gradient of one plain sum, for every kind of model."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from recsmith.contracts.errors import DataError
from recsmith.contracts.training import Batch, Training
from recsmith.training.objective import Lists, Objective, Ratings

USERS, ITEMS, D, P = 7, 11, 4, 150
SCALE = 0.25


def batch(**more):
    generator = torch.Generator().manual_seed(1)
    users = torch.randint(0, USERS, (P,), generator=generator)
    items = torch.randint(0, ITEMS, (P,), generator=generator)
    return Batch(user=users, positives=items, **more)


class Factors:
    """Users times items; `graph` mixes the vectors of all, so that every gradient passes through every vector."""

    def __init__(self):
        torch.manual_seed(3)
        self.module = nn.ModuleDict({"user": nn.Embedding(USERS, D), "item": nn.Embedding(ITEMS, D)})
        self.mix = torch.rand(USERS + ITEMS, USERS + ITEMS)

    def queries(self, batch):
        return self.module["user"](batch.user)

    def logits(self, queries, items):
        table = self.module["item"].weight
        if items is None:
            return queries @ table.T
        return queries @ table[items].T if items.ndim == 1 else torch.einsum("pd,pnd->pn", queries, table[items])

    def gradients(self):
        return [parameter.grad.clone() for parameter in self.module.parameters()]


class Propagated(Factors):
    def propagate(self):
        both = self.mix @ torch.cat([self.module["user"].weight, self.module["item"].weight])
        return both[:USERS], both[USERS:]


class Regularised(Factors):
    def regularised(self, batch):
        queries = self.queries(batch)
        return queries * 2, queries.square().sum()


class Masked(Factors):
    max_length = 5

    def masked(self, batch):
        return Batch(user=batch.user[::3], positives=batch.positives[::3])


def softmax(positive, others, draw):
    return torch.logsumexp(others, 1) - positive


class FullSoftmax:
    negatives, shared, sampler = 0, True, None
    __call__ = staticmethod(softmax)


def plainly(model, loss):
    """Gradients of `SCALE` times a loss that is computed as a whole."""
    model.module.zero_grad()
    (SCALE * loss).backward()
    return model.gradients()


def in_pieces(model, judged, given, monkeypatch, *, weighted=False):
    """Value and gradients of the objective, 64 positives at a time."""
    monkeypatch.setattr("recsmith.training.objective.CELLS", 1)
    model.module.zero_grad()
    value = Objective(model, judged, Training(weighted=weighted)).backward(given, SCALE, torch.Generator())
    return value, model.gradients()


def agree(found, loss, expected):
    value, gradients = found
    assert value == pytest.approx(float(loss.detach()), rel=1e-5)
    for ours, theirs in zip(gradients, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_users_and_items_that_are_propagated_together(monkeypatch):
    model, given = Propagated(), batch()
    users, items = model.propagate()
    logits = users[given.user] @ items.T
    loss = softmax(logits.gather(1, given.positives[:, None]).squeeze(1), logits, None).sum()
    agree(in_pieces(model, Lists(FullSoftmax(), ITEMS, None), given, monkeypatch), loss, plainly(model, loss))


def test_a_model_that_adds_a_term_of_its_own(monkeypatch):
    model, given = Regularised(), batch()
    logits = model.logits(2 * model.queries(given), None)
    loss = softmax(logits.gather(1, given.positives[:, None]).squeeze(1), logits, None).sum()
    loss = loss + model.queries(given).square().sum()
    agree(in_pieces(model, Lists(FullSoftmax(), ITEMS, None), given, monkeypatch), loss, plainly(model, loss))


@pytest.mark.parametrize("make", [Regularised, Factors])
def test_what_is_frozen_gets_no_gradient_and_the_rest_its_own(monkeypatch, make):
    """Queries, and a term, that follow from frozen tables only end at the cut."""
    free, frozen, given = make(), make(), batch()
    frozen.module["user"].requires_grad_(requires_grad=False)
    _, (_, expected) = in_pieces(free, Lists(FullSoftmax(), ITEMS, None), given, monkeypatch)
    Objective(frozen, Lists(FullSoftmax(), ITEMS, None), Training()).backward(given, SCALE, torch.Generator())
    assert frozen.module["user"].weight.grad is None
    torch.testing.assert_close(frozen.module["item"].weight.grad, expected)


def test_a_model_that_hides_places_weighs_as_much_as_all_of_them(monkeypatch):
    model, given = Masked(), batch()
    hidden = model.masked(given)
    logits = model.logits(model.queries(hidden), None)
    loss = 3 * softmax(logits.gather(1, hidden.positives[:, None]).squeeze(1), logits, None).sum()
    agree(in_pieces(model, Lists(FullSoftmax(), ITEMS, None), given, monkeypatch), loss, plainly(model, loss))


@pytest.mark.parametrize("weighted", [True, False])
def test_weights_of_events_count_where_the_settings_say_so(monkeypatch, weighted):
    model, given = Factors(), batch(weights=torch.arange(P) % 4 + 1.0)
    logits = model.logits(model.queries(given), None)
    each = softmax(logits.gather(1, given.positives[:, None]).squeeze(1), logits, None)
    loss = (each * given.weights).sum() if weighted else each.sum()
    found = in_pieces(model, Lists(FullSoftmax(), ITEMS, None), given, monkeypatch, weighted=weighted)
    agree(found, loss, plainly(model, loss))


def test_ratings_are_judged_one_by_one(monkeypatch):
    model, given = Factors(), batch(values=torch.arange(P) % 5 + 1.0)
    predicted = (model.queries(given) * model.module["item"](given.positives)).sum(1)
    loss = (predicted - given.values).square().sum()
    judged = Ratings(lambda predicted, ratings: (predicted - ratings).square())
    agree(in_pieces(model, judged, given, monkeypatch), loss, plainly(model, loss))


def test_a_loss_of_ratings_without_ratings_is_refused(monkeypatch):
    with pytest.raises(DataError, match="the log has none"):
        in_pieces(Factors(), Ratings(lambda predicted, ratings: predicted - ratings), batch(), monkeypatch)
