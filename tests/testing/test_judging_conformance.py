"""Metrics and combiners: each promise can be broken."""

from dataclasses import replace
from typing import Annotated

import numpy as np
import pytest

from recsmith.contracts.config import Config
from recsmith.contracts.data import ABSENT
from recsmith.contracts.domains import Float, Int
from recsmith.contracts.plugins import CombinerSpec, MetricSpec
from recsmith.testing.conformance import run_check
from recsmith.testing.conformance.suite import CHECKS


def test_what_is_none_of_a_metrics_promises_is_said_to_be_so(built_in):
    outcomes = [run_check(built_in, "metrics", "novelty", check) for check in CHECKS["metrics"]]
    apart = {outcome.check: outcome.detail for outcome in outcomes if outcome.state == "not applicable"}
    assert apart == {
        "better_lists_are_not_worse": "its value does not depend on what is relevant",
        "perfect_predictions_are_best": "it does not judge ratings",
    }


# --- metrics ----------------------------------------------------------------------------------------------------------


class Plain(Config):
    pass


class Powered(Config):
    power: Annotated[float, Float(0.0, 2.0)] = 1.0


def precision(lists):
    return lists.hits.mean(axis=1)


def in_single_precision(lists):
    return precision(lists).astype(np.float32)


def one_figure(lists):
    return float(precision(lists).mean())


def infinite_without_hits(lists):
    return np.where(lists.hits[:, 0], 1.0, np.inf) * precision(lists)


def with_noise(lists):
    return precision(lists) + 1e-14 * np.random.default_rng().random(len(lists.items))


def after_sorting(lists):
    lists.relevant.sort()
    return precision(lists)


def of_the_first_list(lists):
    return float(lists.items[0, 0] / lists.catalogue.items)


def of_the_best(lists):
    return precision(lists) / max(precision(lists).max(), 1e-9)


def correlated(lists):
    if len(lists.items) == 1:
        raise ValueError("correlation of one list")
    return precision(lists)


def of_those_shown(lists):
    return lists.hits.sum(axis=1) / (lists.items >= 0).sum(axis=1)


def of_the_relevant(lists):
    return lists.hits.sum(axis=1) / lists.relevant


def over_gaps(lists):
    return lists.hits.sum(axis=1) / float(1 / (lists.items.shape[1] - 1))


def rarity(lists):
    return (1 / lists.catalogue.counts[lists.items]).mean(axis=1)


def by_index_of_similarity(lists):
    return lists.catalogue.similarity[lists.items].sum(axis=(1, 2)).astype(np.float64)


def metric(build, config=Plain, **changes):
    spec = MetricSpec(
        name="share",
        api_version=1,
        config=config,
        build=lambda settings, _context: build(settings) if config is Powered else build,
        judges="ranking",
        direction="maximize",
        formula="(Σ_{j≤K} hit_j) / K",
    )
    return replace(spec, **changes)


def errors(pairs):
    counts = np.diff(pairs.indptr)
    sums = np.bincount(np.repeat(np.arange(len(counts)), counts), abs(pairs.predicted - pairs.actual), len(counts))
    return sums, counts.astype(np.float64)


def means(pairs):
    sums, counts = errors(pairs)
    return sums / np.maximum(counts, 1), np.ones(len(counts))


def by_slices(pairs):
    return np.add.reduceat(abs(pairs.predicted - pairs.actual), pairs.indptr[:-1]), errors(pairs)[1]


def single_sums(pairs):
    return errors(pairs)[0]


def rating(build, **changes):
    return metric(build, judges="ratings", **{"direction": "minimize", "formula": "Σ |error| / M", **changes})


BROKEN_METRICS = {
    "no formula": (metric(precision, formula=" "), "formula_is_stated", "`formula` is empty"),
    "a long formula": (metric(precision, formula="a\nb"), "formula_is_stated", "several lines"),
    "float32": (metric(in_single_precision), "values_are_finite_doubles", "the values are float32"),
    "a figure for all lists": (
        metric(lambda lists: np.array([one_figure(lists)] * 2)[: len(lists.items)], judges="catalogue"),
        "values_are_finite_doubles",
        "the figure is a ndarray, not a float",
    ),
    "counts that are ones": (rating(means), "values_are_finite_doubles", "but the requests have (3, 1, 4"),
    "bounds that are too narrow": (
        metric(precision, within=(0.0, 0.3)),
        "figures_lie_within_their_bounds",
        "usual lists: the figure of all requests is 0.3",
    ),
    "bounds the wrong way about": (
        metric(precision, within=(1, 0)),
        "figures_lie_within_their_bounds",
        "lower bound first",
    ),
    "noise": (metric(with_noise), "same_lists_same_values", "asked again, it gives another value"),
    "sorting in place": (metric(after_sorting), "lists_are_not_written_to", "what it judges (usual lists) was changed"),
    "the first list": (
        metric(of_the_first_list, judges="catalogue"),
        "order_of_requests_does_not_matter",
        "in another order of the requests it gives",
    ),
    "relative to the batch": (
        metric(of_the_best),
        "request_alone_is_judged_as_among_others",
        "request 0 is worth 1.0 alone",
    ),
    "not one list": (
        metric(correlated),
        "request_alone_is_judged_as_among_others",
        "judging request 0 alone: it raised ValueError: correlation of one list",
    ),
    "empty lists": (metric(of_those_shown), "short_and_empty_lists_are_judged", "lists shorter than K: a value is NaN"),
    "nothing relevant": (
        metric(of_the_relevant),
        "short_and_empty_lists_are_judged",
        "lists of which nothing is relevant: a value is NaN",
    ),
    "requests without ratings": (
        rating(by_slices),
        "short_and_empty_lists_are_judged",
        "judging a request without a rating",
    ),
    "a cut-off of 1": (metric(over_gaps), "list_of_one_item_is_judged", "it raised ZeroDivisionError"),
    "unknown items": (metric(rarity), "items_without_interactions_are_judged", "a value is NaN or infinite"),
    "the wrong direction": (
        metric(precision, direction="minimize"),
        "better_lists_are_not_worse",
        "and 0.0 with nothing relevant; the direction is minimize",
    ),
    "errors to be maximised": (
        rating(errors, direction="maximize"),
        "perfect_predictions_are_best",
        "ratings that are all right have the figure 0.0, ratings that are off by -2.0 have 2.0",
    ),
    "a finish that turns it about": (
        rating(errors, finish=lambda mean: 1 - mean),
        "perfect_predictions_are_best",
        "have the figure 1.0",
    ),
    "a corner": (
        metric(lambda settings: lambda lists: precision(lists) ** float(1 / settings.power), Powered),
        "every_corner_judges",
        "metric.share.power=0.0: it raised ZeroDivisionError",
    ),
}


@pytest.mark.parametrize("spec", [metric(precision), rating(errors), metric(one_figure, judges="catalogue")])
def test_a_sound_metric_breaks_nothing(broken, spec):
    assert broken("metrics", spec) == {}


@pytest.mark.parametrize("case", BROKEN_METRICS)
def test_a_broken_metric_breaks_the_promise_that_is_about_it(broken, case):
    spec, check, sentence = BROKEN_METRICS[case]
    found = broken("metrics", spec)
    assert list(found) == [check]
    assert sentence in found[check]


def test_every_promise_of_metrics_can_be_broken():
    assert {check for _, check, _ in BROKEN_METRICS.values()} == {check.__name__ for check in CHECKS["metrics"]}


def test_a_metric_sees_how_alike_items_are_only_if_it_says_that_it_needs_to(broken):
    unsaid = broken("metrics", metric(by_index_of_similarity))
    assert "NoneType" in unsaid["values_are_finite_doubles"]
    assert broken("metrics", metric(by_index_of_similarity, needs=frozenset({"similarity"}))) == {}


# --- combiners --------------------------------------------------------------------------------------------------------


class Ranked(Config):
    offset: Annotated[int, Int(0, 100)] = 10


class Fusion:
    """A sound combiner: an item scores the more, the higher it stands and the more lists hold it."""

    def __init__(self, config, _context):
        self.config = config

    def combine(self, items, _scores, k, _lengths):
        rows = [self.row([member[row] for member in items], k) for row in range(len(items[0]))]
        shown = np.full((len(rows), k), ABSENT, np.int32)
        worth = np.full((len(rows), k), -np.inf, np.float32)
        for row, (ranked, values) in enumerate(rows):
            shown[row, : len(ranked)], worth[row, : len(ranked)] = ranked, values
        return shown, worth

    def row(self, lists, k):
        gains = self.gains(lists)
        ranked = sorted(gains, key=lambda item: (-gains[item], item))[:k]
        return ranked, [gains[item] for item in ranked]

    def gains(self, lists):
        gains = {}
        for ranked in lists:
            for rank, item in enumerate(ranked.tolist()):
                if self.counts(item):
                    gains[item] = gains.get(item, 0.0) + 1 / (10 + rank)
        return gains

    def counts(self, item):
        return item != ABSENT


class Wide(Fusion):
    def combine(self, items, scores, k, lengths):
        shown, worth = super().combine(items, scores, k, lengths)
        return shown.astype(np.int64), worth


class Inventing(Fusion):
    def row(self, lists, k):
        ranked, values = super().row(lists, k)
        return ([*ranked[:-1], 99] if len(lists) > 1 and ranked else ranked), values


class Repeating(Fusion):
    def row(self, lists, k):
        ranked, values = super().row(lists, k)
        if len(lists) > 1 and np.array_equal(lists[0], lists[1]) and len(ranked) > 1:
            ranked[1] = ranked[0]
        return ranked, values


class TakesPadding(Fusion):
    def counts(self, _item):
        return True


class PadsWithZero(Fusion):
    def combine(self, items, scores, k, lengths):
        shown, worth = super().combine(items, scores, k, lengths)
        return shown, np.where(shown == ABSENT, np.float32(0), worth)


class Losses(Fusion):
    def row(self, lists, k):
        ranked, values = super().row(lists, k)
        return ranked, [-value for value in values]


class ByNumber(Fusion):
    def row(self, lists, k):
        ranked, values = super().row(lists, k)
        return (sorted(ranked) if len(lists) == 1 else ranked), values


class WorstFirst(Fusion):
    def row(self, lists, k):
        ranked, values = super().row(lists, k)
        return (ranked[::-1] if len(lists) > 1 else ranked), values


class Exact(Fusion):
    def combine(self, items, scores, k, lengths):
        if k > sum(member.shape[1] for member in items):
            raise IndexError("k is out of range")
        return super().combine(items, scores, k, lengths)


class Stacking(Fusion):
    def combine(self, items, scores, k, lengths):
        np.stack(items)
        return super().combine(items, scores, k, lengths)


class NeedsItems(Fusion):
    def gains(self, lists):
        for ranked in lists:
            ranked[ranked != ABSENT].max()
        return super().gains(lists)


class FirstMemberOnly(Fusion):
    def row(self, lists, k):
        return super().row(lists[:1] if not (lists[0] != ABSENT).any() else lists, k)


class Normalising(Fusion):
    def combine(self, items, scores, k, lengths):
        shown, worth = super().combine(items, scores, k, lengths)
        known = items[0] != ABSENT
        spread = np.ptp(np.where(known, scores[0], 0), axis=1, keepdims=True)
        several = known.sum(axis=1, keepdims=True) > 1
        return shown, worth / np.where(several, spread, 1).astype(np.float32)


class ByLength(Fusion):
    def combine(self, items, scores, k, lengths):
        shown, worth = super().combine(items, scores, k, lengths)
        return shown, (worth / lengths[:, None]).astype(np.float32)


class OfTheBatch(Fusion):
    def combine(self, items, scores, k, lengths):
        shown, worth = super().combine(items, scores, k, lengths)
        return shown, worth / worth.max() if len(worth) > 1 and worth.max() > 0 else worth


class Clearing(Fusion):
    def combine(self, items, scores, k, lengths):
        for score in scores:
            score[:] = 0
        return super().combine(items, scores, k, lengths)


class CountingTheNext(Fusion):
    def combine(self, items, scores, k, lengths):
        lengths += 1
        return super().combine(items, scores, k, lengths)


class OfTheLongest(Fusion):
    def combine(self, items, scores, k, lengths):
        shown, worth = super().combine(items, scores, k, lengths)
        return shown, worth * np.float32(1 + lengths.max())


class Drifting(Fusion):
    asked = 0

    def combine(self, items, scores, k, lengths):
        self.asked += 1
        shown, worth = super().combine(items, scores, k, lengths)
        return shown, worth * np.float32(1 + 1e-6 * self.asked)


class Offset(Fusion):
    def gains(self, lists):
        return {item: gain * float(1 / self.config.offset) for item, gain in super().gains(lists).items()}


BROKEN_COMBINERS = [
    (Wide, "lists_have_the_size_asked_for", "the items are int64, not int32"),
    (Inventing, "items_come_from_the_members", "row 0 holds item 99, which stands in no member's list"),
    (Repeating, "no_item_stands_twice", "row 0 holds an item twice"),
    (TakesPadding, "padding_stands_at_the_end", "padding before an item"),
    (PadsWithZero, "padding_stands_at_the_end", "not -inf"),
    (Losses, "scores_descend", "do not descend"),
    (ByNumber, "one_member_keeps_its_order", "row 0: ["),
    (WorstFirst, "what_all_put_first_is_first", "all members put item 3 first"),
    (Exact, "longer_lists_than_there_are_items", "it raised IndexError: k is out of range"),
    (Stacking, "lists_of_different_lengths", "combining lists of 1, 8 and 3 items: it raised ValueError"),
    (
        NeedsItems,
        "empty_lists_are_combined",
        "combining a member without any item with another one: it raised ValueError",
    ),
    (FirstMemberOnly, "empty_lists_are_combined", "where one member of two has no item, a list is empty"),
    (Normalising, "equal_scores_are_combined", "where one member's scores are all equal"),
    (ByLength, "histories_of_any_length_are_served", "requests with 0 interactions each"),
    (OfTheBatch, "requests_do_not_touch_each_other", "row 0 is"),
    (OfTheLongest, "requests_do_not_touch_each_other", "row 0 is"),
    (Clearing, "lists_are_not_written_to", "a member's list was changed"),
    (CountingTheNext, "lists_are_not_written_to", "the array of lengths was changed"),
    (Drifting, "same_lists_same_answer", "asked again, it gives another answer"),
    (Offset, "every_corner_combines", "combiner.fusion.offset=0: it raised ZeroDivisionError"),
]


def combiner(build):
    return CombinerSpec(name="fusion", api_version=1, config=Ranked, build=build)


def test_a_sound_combiner_breaks_nothing(broken):
    assert broken("combiners", combiner(Fusion)) == {}


@pytest.mark.parametrize(("build", "check", "sentence"), BROKEN_COMBINERS)
def test_a_broken_combiner_breaks_the_promise_that_is_about_it(broken, build, check, sentence):
    found = broken("combiners", combiner(build))
    assert list(found) == [check]
    assert sentence in found[check]


def test_every_promise_of_combiners_can_be_broken():
    assert {check for _, check, _ in BROKEN_COMBINERS} == {check.__name__ for check in CHECKS["combiners"]}
