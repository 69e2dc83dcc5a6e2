"""What every plugin of the kind losses promises."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch

from recsmith.contracts.config import Choice
from recsmith.contracts.errors import NotFiniteError
from recsmith.contracts.training import Draw, Training
from recsmith.testing.conformance.factorisation import Factorisation
from recsmith.testing.conformance.subject import NotApplicableError, Violation, expect, unchanged
from recsmith.testing.logs import groups_fold
from recsmith.training.loop import epochs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from recsmith.contracts.data import FloatArray, Interactions
    from recsmith.contracts.training import Loss
    from recsmith.testing.conformance.subject import Subject

ITEMS = 40
GROUPS = 4
POSITIVES = 6
CLOSE = 1e-5  # a rounding error of float32 sums
HUGE = 1e4  # a logit
LOWEST = -5.0  # another
EPOCHS, LEARNT = 60, 0.9  # share of pairs to be in the right order after one of so many epochs


def offers_what_it_is_for(subject: Subject) -> None:
    """It offers "ranking" or "ratings": nothing could choose it otherwise."""
    offers = subject.spec.offers
    expect(offers & {"ranking", "ratings"}, f"it offers {sorted(offers)}: add 'ranking' or 'ratings'")


def tells_the_trainer_what_to_draw(subject: Subject) -> None:
    """`negatives`, `shared` and `sampler` say what to draw, and it offers "negatives" if and only if it draws any."""
    for case in _cases(subject):
        loss: Any = case.loss
        draws = type(loss.negatives) is int and loss.negatives > 0
        expect(
            type(loss.negatives) is int and loss.negatives >= 0,
            f"{case.label}: negatives is {loss.negatives!r}, not a whole number from 0",
        )
        expect(type(loss.shared) is bool, f"{case.label}: shared is {loss.shared!r}, not True or False")
        expect(
            not draws or hasattr(loss.sampler, "draw"),
            f"{case.label}: negatives is {loss.negatives}, but sampler is {loss.sampler!r}: nothing can draw them",
        )
        offered = "negatives" in subject.spec.offers
        expect(
            offered == draws,
            f"{case.label}: negatives is {loss.negatives}, but it offers {sorted(subject.spec.offers)}",
        )


def gives_one_loss_for_each_positive(subject: Subject) -> None:
    """Each of P positives gets one finite loss, [P] float32, from logits [P, n], or [P, I] where it draws none."""
    for case in _cases(subject):
        for positives in (POSITIVES, 1):
            logits = _logits(positives)
            value = case.judge(logits)
            expect(value.shape == (positives,), f"{case.label}: the loss is {[*value.shape]}, not [{positives}]")
            expect(value.dtype == torch.float32, f"{case.label}: the loss is {value.dtype} for float32 logits")
            _expect_finite(value, f"{case.label}: the loss")


def a_better_positive_never_costs_more(subject: Subject) -> None:
    """Raising a positive's logit up to the highest of the others never raises its loss, and lowers it in the end."""
    for case in _cases(subject):
        others, best = case.rivals()
        levels = [LOWEST + share * (best - LOWEST) for share in np.linspace(0.0, 1.0, 9).tolist()]
        values = [case.judge(_with_positives_at(level)) for level in levels]
        for low, high in itertools.pairwise(values):
            rise = float((high - low).max())
            expect(
                rise <= CLOSE * (1 + float(low.abs().max())), f"{case.label}: a higher positive costs {rise:.3g} more"
            )
        for first, last in zip(values[0][_alive(others)], values[-1][_alive(others)], strict=True):
            expect(last < first, f"{case.label}: the loss is {first:.4g} wherever the positive stands")


def a_step_down_the_gradient_teaches(subject: Subject) -> None:
    """Where a positive is just below the best of the others, a step down the gradient raises it against their mean."""
    for case in _cases(subject):
        rivals, best = case.rivals()
        logits = _with_positives_at(best - 0.5).requires_grad_()
        (gradient,) = torch.autograd.grad(case.judge(logits).sum(), logits)
        _expect_finite(gradient, f"{case.label}: the gradient")
        expect(gradient.any(), f"{case.label}: the gradient is 0 everywhere")
        positive = gradient.gather(1, _targets(POSITIVES).unsqueeze(1)).squeeze(1)
        others = (gradient.sum(1) - positive) / (ITEMS - 1)
        for own, rest in zip(*(part[_alive(rivals)] for part in (-positive, -others)), strict=True):
            expect(
                own > rest,
                f"{case.label}: a step down the gradient moves a positive by {own:.3g}, the others by {rest:.3g}",
            )


def accidental_hits_are_harmless(subject: Subject) -> None:
    """Negatives that the trainer set to -inf, some or all of them, leave loss and gradient finite."""
    for case in _cases(subject):
        if not case.loss.negatives:
            raise NotApplicableError("it draws no negatives")
        for share in (0.5, 1.0):
            logits = _logits(POSITIVES).requires_grad_()
            hits = torch.from_numpy(np.random.default_rng(1).random((POSITIVES, ITEMS)) < share)
            value = case.judge(logits, hits=hits)
            where = f"{case.label}: with {share:.0%} of the negatives at -inf"
            _expect_finite(value, f"{where} the loss")
            _expect_finite(torch.autograd.grad(value.sum(), logits)[0], f"{where} the gradient")


def large_logits_stay_finite(subject: Subject) -> None:
    """Logits of 10,000 and -10,000 give a finite loss and a finite gradient."""
    for case in _cases(subject):
        for positive, others in ((HUGE, -HUGE), (-HUGE, HUGE), (HUGE, HUGE), (-HUGE, -HUGE)):
            logits = torch.full((POSITIVES, ITEMS), others)
            logits = logits.scatter(1, _targets(POSITIVES).unsqueeze(1), positive).requires_grad_()
            value = case.judge(logits)
            where = f"{case.label}: with the positive at {positive:g} and the others at {others:g}"
            _expect_finite(value, f"{where} the loss")
            _expect_finite(torch.autograd.grad(value.sum(), logits)[0], f"{where} the gradient")


def order_of_the_others_does_not_matter(subject: Subject) -> None:
    """The other items in another order, with their odds, give the same loss."""
    for case in _cases(subject):
        positive, others, draw = case.arguments(_logits(POSITIVES))
        order = torch.from_numpy(np.random.default_rng(2).permutation(others.shape[1]))
        turned = draw and replace(draw, items=draw.items[..., order], log_expected=draw.log_expected[..., order])
        _expect_close(
            case.loss(positive, others, draw),
            case.loss(positive, others[:, order], turned),
            f"{case.label}: in another order of the other items",
        )


def each_positive_stands_alone(subject: Subject) -> None:
    """The loss of a positive is the same whatever other positives are in the batch: the trainer cuts batches up."""
    for case in _cases(subject):
        positive, others, draw = case.arguments(_logits(POSITIVES))
        part = draw and replace(draw, positive_log_expected=draw.positive_log_expected[:2])
        if draw is not None and part is not None and draw.items.ndim > 1:
            part = Draw(draw.items[:2], draw.log_expected[:2], part.positive_log_expected)
        _expect_close(
            case.loss(positive, others, draw)[:2],
            case.loss(positive[:2], others[:2], part),
            f"{case.label}: without the rest of the batch",
        )


def leaves_what_it_was_given(subject: Subject) -> None:
    """The logits and the draw are not written into."""
    for case in _cases(subject):
        given = case.arguments(10 * _logits(POSITIVES))
        unchanged(given, partial(case.loss, *given), f"{case.label}: positive, others or draw")


def learns_the_groups(subject: Subject) -> None:
    """A small factorisation that the real trainer learns with this loss comes to rank a user's own group highest."""
    _expect_ranking(subject)
    fold = groups_fold(groups=GROUPS)
    context = subject.registry.context(item_counts=fold.train.counts, users=fold.train.users, seed=1)
    model = Factorisation(fold.train.users, fold.train.items)
    training = Training(learning_rate=0.05, batch_size=64, loss=subject.choice(), schedule=Choice(name="constant"))
    best = 0.0
    try:
        for _ in epochs(model, training, "pairs", fold.train, context, total_epochs=EPOCHS):
            best = max(best, _share_in_order(model.scores(fold.holdout.requests), fold.train))
            if best > LEARNT:
                return
    except NotFiniteError as error:
        raise Violation(str(error)) from error
    raise Violation(
        f"in {EPOCHS} epochs at most {best:.0%} of all pairs of an unseen item of the user's group and one of another "
        f"group came into the right order; by chance 50% do, {LEARNT:.0%} must"
    )


CHECKS = (
    offers_what_it_is_for,
    tells_the_trainer_what_to_draw,
    gives_one_loss_for_each_positive,
    a_better_positive_never_costs_more,
    a_step_down_the_gradient_teaches,
    accidental_hits_are_harmless,
    large_logits_stay_finite,
    order_of_the_others_does_not_matter,
    each_positive_stands_alone,
    leaves_what_it_was_given,
    learns_the_groups,
)


@dataclass(frozen=True)
class _Case:
    """A corner of the space, asked for losses as the trainer asks (training/objective.py)."""

    label: str
    loss: Loss

    def arguments(self, logits: Tensor, hits: Tensor | None = None) -> tuple[Tensor, Tensor, Draw | None]:
        """What the loss is called with, given the logits [P, I] of the catalogue; `hits` [P, I] become -inf too."""
        targets = _targets(len(logits))
        positive = logits.gather(1, targets.unsqueeze(1)).squeeze(1)
        if self.loss.negatives == 0 or self.loss.sampler is None:
            return positive, logits, None
        generator = torch.Generator().manual_seed(5)
        draw = self.loss.sampler.draw(targets, self.loss.negatives, shared=self.loss.shared, generator=generator)
        items = draw.items.expand(len(logits), -1)
        masked = items == targets.unsqueeze(1)
        if hits is not None:
            masked |= hits.gather(1, items)
        return positive, logits.gather(1, items).masked_fill(masked, -torch.inf), draw

    def rivals(self) -> tuple[Tensor, Tensor]:
        """The logits that positives are up against, [P, n], and the highest of each row, [P]."""
        _, others, _ = self.arguments(_with_positives_at(torch.full((POSITIVES,), LOWEST)))
        return others, others.amax(1).clamp_min(LOWEST)

    def judge(self, logits: Tensor, hits: Tensor | None = None) -> Tensor:
        """The loss of each positive, [P]."""
        return self.loss(*self.arguments(logits, hits))


def _cases(subject: Subject) -> Iterator[_Case]:
    _expect_ranking(subject)
    context = subject.registry.context(item_counts=np.arange(1, ITEMS + 1), users=20)
    for label, choice in subject.corners():
        yield _Case(label, cast("Loss", subject.registry.build(subject.kind, choice, context)))


def _expect_ranking(subject: Subject) -> None:
    if "ranking" not in subject.spec.offers:
        raise NotApplicableError("it judges ratings")


def _logits(positives: int) -> Tensor:
    """Logits [P, I] as a model has them that has not learnt yet."""
    return torch.from_numpy(np.random.default_rng(0).normal(size=(positives, ITEMS)).astype(np.float32))


def _with_positives_at(level: Tensor) -> Tensor:
    """The same logits with the positives' own at `level` [P]."""
    return _logits(len(level)).scatter(1, _targets(len(level)).unsqueeze(1), level.unsqueeze(1))


def _targets(positives: int) -> Tensor:
    """The positives [P]."""
    return (7 * torch.arange(positives) + 3) % ITEMS


def _alive(others: Tensor) -> Tensor:
    """The rows [P] in which not everything is an accidental hit."""
    return torch.isfinite(others).any(1)


def _expect_finite(values: Tensor, what: str) -> None:
    wrong = values.detach()[~torch.isfinite(values)]
    expect(not len(wrong), f"{what} is {wrong[:1].tolist()}")


def _expect_close(one: Tensor, other: Tensor, where: str) -> None:
    expect(one.shape == other.shape, f"{where} the loss is {[*other.shape]}, not {[*one.shape]}")
    expect(
        torch.allclose(one, other, rtol=10 * CLOSE, atol=10 * CLOSE, equal_nan=True),
        f"{where} the loss of a positive is {other[0]:.6g} and not {one[0]:.6g}",
    )


def _share_in_order(scores: FloatArray, train: Interactions) -> float:
    """The share of pairs in which an unseen item of the user's group stands above one of another group."""
    users, items = scores.shape
    own = np.arange(users)[:, None] % GROUPS == np.arange(items) % GROUPS
    new = train.histories.matrix(items).toarray() == 0
    rows = zip(scores, own & new, own, strict=True)
    return float(np.mean([np.mean(row[right][:, None] > row[~group]) for row, right, group in rows]))
