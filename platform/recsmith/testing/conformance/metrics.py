"""What every metric promises, whether it judges ranked lists, the catalogue or ratings."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from recsmith.contracts.data import RankedLists
from recsmith.testing.conformance.attempt import attempt
from recsmith.testing.conformance.judged import (
    LISTS,
    PAIRS,
    best,
    empty,
    of_unknown_items,
    pairs,
    perfect,
    ranked,
    short,
    taken,
    without_pairs,
    worse,
    worst,
)
from recsmith.testing.conformance.subject import NotApplicableError, bits, expect, unchanged

if TYPE_CHECKING:
    from collections.abc import Iterator

    from recsmith.contracts.config import Choice
    from recsmith.contracts.data import DoubleArray
    from recsmith.testing.conformance.judged import Judged
    from recsmith.testing.conformance.subject import Subject

SLACK = 1e-9  # what rounding may put a figure outside its bounds
RELATIVE, ABSOLUTE = 1e-9, 1e-12  # as close as sums in another order are


def formula_is_stated(subject: Subject) -> None:
    """`formula` says in one line what is computed."""
    formula = subject.spec.formula
    expect(formula.strip(), "`formula` is empty: write the line that the documentation shows")
    expect("\n" not in formula, f"`formula` has several lines: {formula!r}")


def values_are_finite_doubles(subject: Subject) -> None:
    """It gives a finite float64 for each list (ranking), one finite float (catalogue), or sums and counts (ratings).

    The counts are those of the pairs of each request.
    """
    value = _judge(subject)(_sample(subject))
    if subject.spec.judges == "catalogue":
        expect(isinstance(value, float), f"the figure is a {type(value).__name__}, not a float")
    elif subject.spec.judges == "ranking":
        _expect_doubles(value, "the values")
    else:
        expect(isinstance(value, tuple) and len(value) == 2, "it gives no pair of sums and counts")  # noqa: PLR2004
        _expect_doubles(value[0], "the sums of errors")
        _expect_doubles(value[1], "the counts")
        expect(np.array_equal(value[1], PAIRS), f"the counts are {value[1]}, but the requests have {PAIRS} pairs")
    expect(np.isfinite(_numbers(value)).all(), f"a value is NaN or infinite: {_numbers(value)}")


def figures_lie_within_their_bounds(subject: Subject) -> None:
    """No figure, of one request or of many, lies outside `within`."""
    low, high = subject.spec.within
    expect(low < high, f"`within` is {subject.spec.within}: write the lower bound first")
    metric = _judge(subject)
    for name, given in _samples(subject).items():
        for requests, figure in _figures(subject, metric(given)):
            inside = low - SLACK <= figure <= high + SLACK
            expect(inside, f"{name}: the figure of {requests} is {figure}, outside {low} to {high}")


def same_lists_same_values(subject: Subject) -> None:
    """The same lists have the same value, bit for bit, also by a metric that is built anew."""
    metric = _judge(subject)
    first = bits(metric(_sample(subject)))
    for which, other in (("it", metric), ("a fresh one", _judge(subject))):
        expect(first == bits(other(_sample(subject))), f"asked again, {which} gives another value")


def lists_are_not_written_to(subject: Subject) -> None:
    """It does not write into the lists or ratings that it judges."""
    for name, given in _samples(subject).items():
        unchanged(given, partial(_judge(subject), given), f"what it judges ({name})")


def order_of_requests_does_not_matter(subject: Subject) -> None:
    """Requests in another order have the same values, each its own."""
    order = np.random.default_rng(3).permutation(LISTS)
    metric, given = _judge(subject), _sample(subject)
    before, after = _numbers(metric(given)), _numbers(metric(taken(given, order)))
    expected = before if subject.spec.judges == "catalogue" else before[..., order]
    same = after.shape == expected.shape and np.allclose(after, expected, rtol=RELATIVE, atol=ABSOLUTE)
    expect(same, f"in another order of the requests it gives {after} instead of {expected}")


def request_alone_is_judged_as_among_others(subject: Subject) -> None:
    """A batch of one request is judged, and its value is that among others."""
    metric, given = _judge(subject), _sample(subject)
    together = _numbers(metric(given))
    for row in range(LISTS):
        with attempt(f"judging request {row} alone"):
            alone = _numbers(metric(taken(given, np.array([row]))))
            expect(np.isfinite(alone).all(), f"the value of request {row} alone is {alone}")
        if subject.spec.judges != "catalogue":
            same = np.allclose(alone[..., 0], together[..., row], rtol=RELATIVE, atol=ABSOLUTE)
            expect(same, f"request {row} is worth {alone[..., 0]} alone and {together[..., row]} among {LISTS}")


def short_and_empty_lists_are_judged(subject: Subject) -> None:
    """Padded and empty lists, requests without anything relevant or without a rating, have a finite value."""
    metric = _judge(subject)
    if subject.spec.judges == "ratings":
        cases: dict[str, Judged] = {"a request without a rating": without_pairs()}
    else:
        similar = "similarity" in subject.spec.needs
        cases = {"lists shorter than K": short(similar=similar), "empty lists": empty(similar=similar)}
        cases["lists of which nothing is relevant"] = worst(ranked(similar=similar), relevant=0)
    for name, given in cases.items():
        with attempt(f"judging {name}"), np.errstate(all="ignore"):
            values = _numbers(metric(given))
            expect(np.isfinite(values).all(), f"{name}: a value is NaN or infinite: {values}")


def list_of_one_item_is_judged(subject: Subject) -> None:
    """With a cut-off of 1 every value is finite."""
    if subject.spec.judges == "ratings":
        raise NotApplicableError("it judges ratings, which have no cut-off")
    with attempt("judging lists of one item"), np.errstate(all="ignore"):
        values = _numbers(_judge(subject)(ranked(width=1, similar="similarity" in subject.spec.needs)))
        expect(np.isfinite(values).all(), f"lists of one item: a value is NaN or infinite: {values}")


def items_without_interactions_are_judged(subject: Subject) -> None:
    """Lists of items that training has no interaction with have a finite value."""
    if subject.spec.judges == "ratings":
        raise NotApplicableError("it judges ratings, not items")
    with attempt("judging items without interactions"), np.errstate(all="ignore"):
        values = _numbers(_judge(subject)(of_unknown_items(similar="similarity" in subject.spec.needs)))
        expect(np.isfinite(values).all(), f"items without interactions: a value is NaN or infinite: {values}")


def better_lists_are_not_worse(subject: Subject) -> None:
    """All that is relevant at the top is worth at least as much as nothing relevant, in the metric's own direction."""
    if subject.spec.judges != "ranking":
        raise NotApplicableError(f"it judges the {subject.spec.judges}, not one list")
    metric, given = _judge(subject), _sample(subject)
    top, none = metric(best(given)), metric(worst(given))
    if np.array_equal(top, none):
        raise NotApplicableError("its value does not depend on what is relevant")
    wrong = np.flatnonzero(_sign(subject) * (top - none) < -ABSOLUTE)
    row = int(wrong[0]) if len(wrong) else 0
    expect(
        not len(wrong),
        f"list {row} is worth {top[row]} with all that is relevant at its top and {none[row]} with nothing relevant; "
        f"the direction is {subject.spec.direction}",
    )


def perfect_predictions_are_best(subject: Subject) -> None:
    """No predicted ratings are judged better than those that are right, in the metric's own direction."""
    if subject.spec.judges != "ratings":
        raise NotApplicableError("it does not judge ratings")
    metric = _judge(subject)
    right = _figure(subject, metric(perfect(pairs())))
    for error in (-2.0, -0.1, 0.1, 2.0):
        wrong = _figure(subject, metric(worse(pairs(), error)))
        expect(
            _sign(subject) * (right - wrong) >= -ABSOLUTE,
            f"ratings that are all right have the figure {right}, ratings that are off by {error} have {wrong}; the "
            f"direction is {subject.spec.direction}",
        )


def every_corner_judges(subject: Subject) -> None:
    """Every corner of its search space gives finite values."""
    for label, choice in subject.corners():
        with attempt(label):
            values = _numbers(_judge(subject, choice)(_sample(subject)))
            expect(np.isfinite(values).all(), f"{label}: a value is NaN or infinite: {values}")


CHECKS = (
    formula_is_stated,
    values_are_finite_doubles,
    figures_lie_within_their_bounds,
    same_lists_same_values,
    lists_are_not_written_to,
    order_of_requests_does_not_matter,
    request_alone_is_judged_as_among_others,
    short_and_empty_lists_are_judged,
    list_of_one_item_is_judged,
    items_without_interactions_are_judged,
    better_lists_are_not_worse,
    perfect_predictions_are_best,
    every_corner_judges,
)


# --- the work ---------------------------------------------------------------------------------------------------------


def _judge(subject: Subject, choice: Choice | None = None) -> Any:
    return subject.registry.build("metrics", choice or subject.choice(), subject.registry.context())


def _sample(subject: Subject) -> Any:
    """What it judges, anew for every use."""
    return pairs() if subject.spec.judges == "ratings" else ranked(similar="similarity" in subject.spec.needs)


def _samples(subject: Subject) -> dict[str, Judged]:
    """The same, the best and the worst of it."""
    given = _sample(subject)
    if isinstance(given, RankedLists):
        return {"usual lists": given, "the best lists": best(given), "the worst lists": worst(given)}
    return {"usual ratings": given, "ratings that are right": perfect(given), "ratings off by 3": worse(given, 3.0)}


def _numbers(value: Any) -> DoubleArray:
    """All that it gives as one array: [], [B] or [2, B]."""
    return np.asarray(value, np.float64)


def _figure(subject: Subject, value: Any) -> float:
    """The figure that the platform makes of what a metric gives."""
    if subject.spec.judges == "ratings":
        total, count = value
        return float(subject.spec.finish(float(total.sum() / max(1.0, count.sum()))))
    return float(np.mean(value))


def _figures(subject: Subject, value: Any) -> Iterator[tuple[str, float]]:
    """The figure of all requests together and, but for the catalogue's, of each."""
    yield "all requests", _figure(subject, value)
    if subject.spec.judges != "catalogue":
        for row in range(LISTS):
            own = tuple(part[row] for part in value) if isinstance(value, tuple) else value[row]
            yield f"request {row}", _figure(subject, own)


def _sign(subject: Subject) -> int:
    return 1 if subject.spec.direction == "maximize" else -1


def _expect_doubles(array: Any, what: str) -> None:
    shape, dtype = getattr(array, "shape", None), getattr(array, "dtype", type(array).__name__)
    expect(shape == (LISTS,), f"{what} have the shape {shape} for {LISTS} requests")
    expect(dtype == np.float64, f"{what} are {dtype}, not float64")
