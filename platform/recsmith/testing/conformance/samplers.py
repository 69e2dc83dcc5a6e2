"""What every plugin of the kind samplers promises."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from scipy.special import kl_div

from recsmith.testing.conformance.chance import other_random_states
from recsmith.testing.conformance.subject import bits, expect, unchanged

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt
    from torch import Tensor

    from recsmith.contracts.config import Choice
    from recsmith.contracts.training import Draw, Sampler
    from recsmith.testing.conformance.subject import Subject

COUNTS = (1, 2, 4, 8, 16, 32, 0, 1)  # interactions of each item; one has none
ROUNDS, NEGATIVES = 300, 5  # a positive is met this many times its count, with so many negatives of its own
CALLS, SHARED = 400, 64  # or so many draws of shared negatives
SAME = 1e-3  # logarithms closer than this are one number

# With a right sampler a figure is this far off with a chance of exp(-25) at most (Chernoff), and less than a thousand
# figures are looked at: it is wronged less than once in ten million runs.
SURPRISE = 25.0


@dataclass(frozen=True)
class _Case:
    """A corner of the space, with negatives for all positives or for each."""

    subject: Subject
    label: str
    choice: Choice
    shared: bool

    def build(self, counts: Sequence[int] = COUNTS, device: str = "cpu") -> Sampler:
        context = self.subject.registry.context(item_counts=np.array(counts, np.int64), users=4, device=device)
        return cast("Sampler", self.subject.registry.build(self.subject.kind, self.choice, context))

    def draw(self, sampler: Sampler, positives: Tensor, count: int, seed: int = 0) -> Draw:
        generator = torch.Generator(positives.device).manual_seed(seed)
        return sampler.draw(positives, count, shared=self.shared, generator=generator)

    def shape(self, positives: Tensor, count: int) -> tuple[int, ...]:
        return (count,) if self.shared else (len(positives), count)


def draws_are_items(subject: Subject) -> None:
    """A draw holds item numbers of the catalogue, int64, [n] for all positives or [P, n], on the positives' device."""
    for case in _cases(subject):
        for device in ("cpu", *(["cuda:0"] if torch.cuda.is_available() else [])):
            positives = _positives(1).to(device)
            items = case.draw(case.build(device=device), positives, 7).items
            shape = case.shape(positives, 7)
            expect(items.shape == shape, f"{case.label}: items are {[*items.shape]}, not {[*shape]}")
            expect(items.dtype == torch.int64, f"{case.label}: items are {items.dtype}, not torch.int64")
            expect(items.device == positives.device, f"{case.label}: items are on {items.device}, not on {device}")
            _expect_inside(items, len(COUNTS), case.label)


def odds_are_finite(subject: Subject) -> None:
    """The odds are finite floating-point numbers: log_expected as the items, positive_log_expected [P]."""
    for case in _cases(subject):
        positives = _positives(1)
        draw = case.draw(case.build(), positives, 7)
        for name, odds, shape in (
            ("log_expected", draw.log_expected, draw.items.shape),
            ("positive_log_expected", draw.positive_log_expected, positives.shape),
        ):
            expect(odds.shape == shape, f"{case.label}: {name} is {[*odds.shape]}, not {[*shape]}")
            expect(odds.is_floating_point(), f"{case.label}: {name} is {odds.dtype}, not floating-point")
        _expect_finite(draw, case.label)


def draws_come_as_often_as_said(subject: Subject) -> None:
    """Over many draws every item comes as often as exp(log_expected) says, and what is expected sums to the count."""
    for case in _cases(subject):
        positives, sampler, generator = _positives(ROUNDS), case.build(), torch.Generator().manual_seed(1)
        calls, count = (CALLS, SHARED) if case.shared else (1, NEGATIVES)
        draws = [sampler.draw(positives, count, shared=case.shared, generator=generator) for _ in range(calls)]
        observed, expected, trials = _tally(draws, positives, shared=case.shared)
        off = np.nan_to_num(kl_div(observed, expected * trials[:, None]), nan=0.0)
        row, item = np.unravel_index(np.argmax(off), off.shape)
        expect(
            off[row, item] < SURPRISE,
            f"{case.label}: item {item} was drawn {observed[row, item]:.0f} times, "
            f"exp(log_expected) says {expected[row, item] * trials[row]:.1f}",
        )
        for total, rounds in zip(np.nansum(expected, 1), trials, strict=True):
            expect(
                abs(total - count) * rounds < SURPRISE + SAME * count * rounds,
                f"{case.label}: exp(log_expected) of all items sums to {total:.4g} where {count} are drawn",
            )


def positives_are_told_their_own_odds(subject: Subject) -> None:
    """positive_log_expected is for a positive what log_expected is for the same item among the negatives."""
    for case in _cases(subject):
        positives = _positives(40)
        draw = case.draw(case.build(), positives, 40)
        same = draw.items.expand(len(positives), -1) == positives.unsqueeze(1)  # [P, n]
        gap = (draw.log_expected.expand_as(same) - draw.positive_log_expected.unsqueeze(1))[same].abs()
        expect(
            (gap < SAME).all(),
            f"{case.label}: the same item has another positive_log_expected than log_expected, by {gap.max():.3g}"
            if len(gap)
            else "",
        )


def follows_the_generator_alone(subject: Subject) -> None:
    """Equal generators give equal draws, whatever was drawn before and whatever other sources of chance hold."""
    for case in _cases(subject):
        sampler, positives = case.build(), _positives(2)
        first, other, again = (bits(case.draw(sampler, positives, 40, seed)) for seed in (3, 4, 3))
        expect(first == again, f"{case.label}: the same generator gave two different draws: keep nothing between draws")
        expect(first != other, f"{case.label}: differently seeded generators gave the same draw: draw by `generator`")
        with other_random_states():
            elsewhere = bits(case.draw(case.build(), positives, 40, seed=3))
        expect(first == elsewhere, f"{case.label}: the draw depends on torch.manual_seed, numpy.random or random")


def serves_every_catalogue_and_count(subject: Subject) -> None:
    """One item, items without interactions, one negative, more negatives than items: each is served."""
    catalogues = ([3], [0, 5, 0, 2], [0, 0, 0], [1] * 40)
    for case, counts in itertools.product(_cases(subject), catalogues):
        for given, count in itertools.product(([0], [len(counts) - 1] * 3), (1, 500)):
            positives = torch.tensor(given)
            where = f"{case.label}, training counts {counts[:4]}, {len(given)} positives, {count} negatives"
            draw = case.draw(case.build(counts), positives, count)
            shape = case.shape(positives, count)
            expect(draw.items.shape == shape, f"{where}: items are {[*draw.items.shape]}, not {[*shape]}")
            _expect_inside(draw.items, len(counts), where)
            _expect_finite(draw, where)


def leaves_what_it_was_given(subject: Subject) -> None:
    """Neither building nor drawing writes into the positives or the training counts."""
    for case in _cases(subject):
        positives, counts = _positives(2), np.array(COUNTS, np.int64)
        context = subject.registry.context(item_counts=counts, users=4)
        build = partial(subject.registry.build, subject.kind, case.choice, context)
        unchanged(counts, build, f"{case.label}: context.item_counts, in building,")
        draw = partial(case.draw, build(), positives, 7)
        unchanged((positives, counts), draw, f"{case.label}: positives or context.item_counts, in drawing,")


CHECKS = (
    draws_are_items,
    odds_are_finite,
    draws_come_as_often_as_said,
    positives_are_told_their_own_odds,
    follows_the_generator_alone,
    serves_every_catalogue_and_count,
    leaves_what_it_was_given,
)


def _cases(subject: Subject) -> Iterator[_Case]:
    for label, choice in subject.corners():
        for shared in (True, False):
            yield _Case(subject, f"{label}, shared={shared}", choice, shared)


def _positives(rounds: int) -> Tensor:
    """Every item as often as in training, times `rounds`, in a random order: [P]."""
    items = np.repeat(np.arange(len(COUNTS)), COUNTS)
    return torch.from_numpy(np.random.default_rng(0).permutation(np.tile(items, rounds)))


def _tally(
    draws: Sequence[Draw], positives: Tensor, *, shared: bool
) -> tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]:
    """How often each item came [R, I], how often it was expected in one trial (NaN where never told), and trials [R].

    R counts what odds may depend on: nothing when shared, else the positive of a row.
    """
    size = len(COUNTS)
    items = torch.cat([draw.items if draw.items.ndim > 1 else draw.items.unsqueeze(0) for draw in draws]).numpy()
    odds = torch.cat([draw.log_expected.reshape(-1, items.shape[1]) for draw in draws]).double().exp().numpy()
    met = np.zeros(len(positives), np.int64) if shared else positives.numpy()
    rows = np.zeros((len(items), 1), np.int64) if shared else met[:, None]
    observed = np.zeros((1 if shared else size, size))
    expected = np.full_like(observed, np.nan)
    np.add.at(observed, (rows, items), 1)
    expected[met, positives.numpy()] = draws[0].positive_log_expected.double().exp().numpy()
    expected[rows, items] = odds
    return observed, expected, np.bincount(rows[:, 0], minlength=len(observed))


def _expect_inside(items: Tensor, size: int, where: str) -> None:
    low, high = int(items.min()), int(items.max())
    expect(low >= 0 and high < size, f"{where}: drew items {low} to {high}, the catalogue holds 0 to {size - 1}")


def _expect_finite(draw: Draw, where: str) -> None:
    for name in ("log_expected", "positive_log_expected"):
        odds = getattr(draw, name)
        wrong = odds[~torch.isfinite(odds)]
        expect(not len(wrong), f"{where}: {name} holds {wrong[:1].tolist()}: clamp before you take the logarithm")
