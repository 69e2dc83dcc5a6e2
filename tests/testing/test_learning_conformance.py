"""What learning is made of: each broken plugin breaks the one it is about."""

# ruff: noqa: ARG002 - the plugins here have the signatures of their protocols

from __future__ import annotations

import math
import random
from dataclasses import replace
from functools import partial
from types import MappingProxyType, SimpleNamespace
from typing import TYPE_CHECKING, Annotated, NamedTuple

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import softplus

from recsmith.contracts.config import Choice, Config
from recsmith.contracts.domains import Int
from recsmith.contracts.plugins import MetaLearnerSpec, PartSpec
from recsmith.contracts.training import Draw
from recsmith.testing.conformance import checks_of, run_check
from recsmith.wiring.plugins import load_plugins

if TYPE_CHECKING:
    from collections.abc import Mapping

ALL = load_plugins(["recsmith"])


def outcomes(loaded, kind, name):
    return [run_check(loaded, kind, name, check) for check in checks_of(kind)]


# --- samplers: every one of these draws evenly from the catalogue, and does one thing wrong ---------------------------


class Even:
    """Nothing wrong here."""

    def __init__(self, context):
        self.items = context.items
        self.counts = context.item_counts

    def draw(self, positives, count, *, shared, generator):
        shape = (count,) if shared else (len(positives), count)
        drawn = torch.randint(self.items, shape, generator=generator)
        odds = math.log(count / self.items)
        return Draw(drawn, torch.full(shape, odds), torch.full((len(positives),), odds))


class IntegerItems(Even):
    def draw(self, positives, count, *, shared, generator):
        draw = super().draw(positives, count, shared=shared, generator=generator)
        return replace(draw, items=draw.items.int())


class OddsWithAnAxisTooMany(Even):
    def draw(self, positives, count, *, shared, generator):
        draw = super().draw(positives, count, shared=shared, generator=generator)
        return replace(draw, log_expected=draw.log_expected.reshape(-1, count))


class ForgetsTheCount(Even):
    def draw(self, positives, count, *, shared, generator):
        draw = super().draw(positives, count, shared=shared, generator=generator)
        log_count = math.log(count)
        return Draw(draw.items, draw.log_expected - log_count, draw.positive_log_expected - log_count)


class HidesAnItem(Even):
    """Says that every item may come, but item 3 never does."""

    def draw(self, positives, count, *, shared, generator):
        draw = super().draw(positives, count, shared=shared, generator=generator)
        return replace(draw, items=torch.where(draw.items == 3, 0, draw.items))


class AnotherFunctionForPositives(Even):
    def draw(self, positives, count, *, shared, generator):
        draw = super().draw(positives, count, shared=shared, generator=generator)
        return replace(draw, positive_log_expected=draw.positive_log_expected + 0.7)


class GlobalChance(Even):
    def draw(self, positives, count, *, shared, generator):
        return super().draw(positives, count, shared=shared, generator=None)


class NeedsInteractions(Even):
    def draw(self, positives, count, *, shared, generator):
        weight = torch.from_numpy(self.counts > 0).float()
        total = count if shared else count * len(positives)
        drawn = torch.multinomial(weight, total, replacement=True, generator=generator)
        odds = (count * weight / weight.sum()).log()
        drawn = drawn.reshape((count,) if shared else (len(positives), count))
        return Draw(drawn, odds[drawn], odds[positives])


class SortsThePositives(Even):
    def draw(self, positives, count, *, shared, generator):
        positives.copy_(positives.sort()[0])
        return super().draw(positives, count, shared=shared, generator=generator)


# --- task samplers: any user with a history --------------------------------------------------------------------------


class AnyUser:
    """Nothing wrong here."""

    def __init__(self, context):
        pass

    def draw(self, users, count, *, seed):
        return np.random.default_rng(seed).choice(users.able, count)


class ShortNumbers(AnyUser):
    def draw(self, users, count, *, seed):
        return super().draw(users, count, seed=seed).astype(np.int32)


class EmptyHistories(AnyUser):
    def draw(self, users, count, *, seed):
        return np.random.default_rng(seed).integers(0, len(users.lengths), count)


class SameUsers(AnyUser):
    def draw(self, users, count, *, seed):
        return super().draw(users, count, seed=0)


class EachUserOnce(AnyUser):
    def draw(self, users, count, *, seed):
        return np.random.default_rng(seed).permutation(users.able)[:count]


class WritesIntoLosses(AnyUser):
    def draw(self, users, count, *, seed):
        drawn = super().draw(users, count, seed=seed)
        users.losses()[drawn] += 1
        return drawn


# --- losses: BPR with 16 negatives for each positive ------------------------------------------------------------------


class Pairwise:
    """Nothing wrong here."""

    negatives = 16
    shared = False

    def __init__(self, context):
        self.sampler = context.part("samplers", Choice(name="uniform"))

    def __call__(self, positive, others, draw):
        return softplus(others - positive.unsqueeze(-1)).mean(-1)


class Margin(Pairwise):
    """Nothing wrong here either: it has no gradient where the positive is far enough above the only negative."""

    negatives = 1

    def __call__(self, positive, others, draw):
        return torch.relu(0.1 + others - positive.unsqueeze(-1)).mean(-1)


class NoSampler(Pairwise):
    def __init__(self, context):
        self.sampler = None


class Doubles(Pairwise):
    def __call__(self, positive, others, draw):
        return super().__call__(positive, others, draw).double()


class AimsAtANumber(Pairwise):
    def __call__(self, positive, others, draw):
        return (positive - 1.5).square() + softplus(others).mean(-1)


class TeachesNothing(Pairwise):
    """Its value falls as the positive rises, its gradient moves nothing."""

    def __call__(self, positive, others, draw):
        return super().__call__(positive, others, draw).detach() + 0.0 * positive


class MeanOfTheRest(Pairwise):
    def __call__(self, positive, others, draw):
        real = torch.isfinite(others)
        return torch.where(real, softplus(others - positive.unsqueeze(-1)), 0.0).sum(-1) / real.sum(-1)


class LogOfSigmoid(Pairwise):
    def __call__(self, positive, others, draw):
        return -(positive.unsqueeze(-1) - others).sigmoid().log().mean(-1)


class WeighsByPlace(Pairwise):
    def __call__(self, positive, others, draw):
        return (softplus(others - positive.unsqueeze(-1)) * torch.linspace(0.5, 1.5, others.shape[-1])).mean(-1)


class LooksAtTheBatch(Pairwise):
    def __call__(self, positive, others, draw):
        return super().__call__(positive, others, draw) + softplus(-positive).mean()


class ClampsInPlace(Pairwise):
    def __call__(self, positive, others, draw):
        return super().__call__(positive, others.clamp_(max=2.0), draw)


class TooFaint(Pairwise):
    def __call__(self, positive, others, draw):
        return 1e-12 * super().__call__(positive, others, draw)


# --- losses of ratings: the squared error -----------------------------------------------------------------------------


class Squared:
    """Nothing wrong here."""

    def __init__(self, context):
        pass

    def __call__(self, predicted, ratings):
        return (predicted - ratings).square()


class SquaredInDouble(Squared):
    def __call__(self, predicted, ratings):
        return super().__call__(predicted.double(), ratings)


class CutOff(Squared):
    def __call__(self, predicted, ratings):
        return super().__call__(predicted, ratings).clamp_max(4.0)


class AboveTheMean(Squared):
    def __call__(self, predicted, ratings):
        return super().__call__(predicted, ratings) + super().__call__(predicted, ratings).mean()


class ForgetsTheRatings(Squared):
    def __call__(self, predicted, ratings):
        value = super().__call__(predicted, ratings.clone())
        ratings.zero_()
        return value


class FaintlySquared(Squared):
    def __call__(self, predicted, ratings):
        return 1e-12 * super().__call__(predicted, ratings)


# --- schedules: the rate is halved after every score that is not better than the one before ---------------------------


class Halving:
    """Nothing wrong here."""

    def __init__(self, context):
        self.current, self.last = 1.0, 0.0

    def factor(self, progress):
        return self.current * (1.0 - 0.5 * progress)

    def observe(self, score):
        if score <= self.last:
            self.current *= 0.5
        self.last = score

    def state(self):
        return {"current": self.current, "last": self.last}

    def load(self, state):
        self.current, self.last = state["current"], state["last"]


class NegativeAtTheEnd(Halving):
    def factor(self, progress):
        return self.current * (0.99 - progress)


class NeverAnything(Halving):
    def factor(self, progress):
        return 0.0


class CountsQuestions(Halving):
    asked = 0

    def factor(self, progress):
        self.asked += 1
        return super().factor(progress) / self.asked

    def state(self):
        return {**super().state(), "asked": self.asked}

    def load(self, state):
        super().load(state)
        self.asked = state["asked"]


class LogOfScore(Halving):
    def observe(self, score):
        super().observe(math.log(score))


class Chance(Halving):
    def __init__(self, context):
        self.current, self.last = random.uniform(0.5, 1.0), 0.0  # noqa: S311


class Infinity(Halving):
    def __init__(self, context):
        self.current, self.last = 1.0, -math.inf


class Forgets(Halving):
    def state(self):
        return {"current": self.current}

    def load(self, state):
        self.current = state["current"]


# --- meta-learners: one gradient step on the masked squared error -----------------------------------------------------


class OneStep:
    """Nothing wrong here."""

    rate = 0.02

    def __init__(self, context):
        pass

    def adapt(self, score, params, support):
        slopes = torch.func.grad(lambda head: self.error(score, head, support))(dict(params))
        return {name: tensor - self.rate * slopes[name] for name, tensor in params.items()}

    def error(self, score, head, support):
        return ((score(head, support.inputs) - support.values).square() * support.weight).sum()


class DropsAName(OneStep):
    def adapt(self, score, params, support):
        adapted = super().adapt(score, params, support)
        return {**adapted, "extra": torch.zeros(2)}


class Tires(OneStep):
    def adapt(self, score, params, support):
        self.rate *= 0.9999
        return super().adapt(score, params, support)


class IgnoresTheMask(OneStep):
    def error(self, score, head, support):
        return (score(head, support.inputs) - support.values).square().sum() * 0.5


class DividesByTheSize(OneStep):
    def error(self, score, head, support):
        return super().error(score, head, support) / support.weight.sum()


class LooksAtANumber(OneStep):
    def adapt(self, score, params, support):
        return super().adapt(score, params, support) if float(support.weight.sum()) else params


class UpTheHill(OneStep):
    rate = -0.02


# --- histories: the mean of the vectors so far ------------------------------------------------------------------------


class MeanSoFar(nn.Module):
    """Nothing wrong here: what is dropped is dropped in training."""

    def __init__(self, config, width, length):
        super().__init__()
        self.config, self.length = config, length
        self.drop = nn.Dropout(0.3)
        self.out = nn.Linear(width, width)

    def forward(self, vectors):
        return self.out(self.mean(self.drop(vectors)))

    def mean(self, vectors):
        return vectors.cumsum(1) / torch.arange(1, vectors.shape[1] + 1).unsqueeze(1)


class NothingToLearn(nn.Module):
    """Nothing wrong here either: what it reads can learn."""

    def __init__(self, config, width, length):
        super().__init__()

    def forward(self, vectors):
        return vectors.cumsum(1)


class LastOnly(MeanSoFar):
    """One summary for the list."""

    def forward(self, vectors):
        return super().forward(vectors)[:, -1:]


class TwiceAsWide(MeanSoFar):
    def forward(self, vectors):
        return torch.cat([super().forward(vectors), vectors], dim=2)


class OnePlaceTooFew(MeanSoFar):
    def __init__(self, config, width, length):
        super().__init__(config, width, length)
        self.place = nn.Embedding(length - 1, width)

    def mean(self, vectors):
        return super().mean(vectors + self.place(torch.arange(vectors.shape[1])))


class ByPlacesLeft(MeanSoFar):
    def mean(self, vectors):
        left = self.length - 1 - torch.arange(vectors.shape[1])
        return super().mean(vectors) / left.unsqueeze(1)


class MeanOfTheList(MeanSoFar):
    def mean(self, vectors):
        return vectors.mean(1, keepdim=True).expand_as(vectors)


class ScaledByTheList(MeanSoFar):
    """It looks at no later vector, but at how many there are, and so at the padding."""

    def mean(self, vectors):
        return super().mean(vectors) * vectors.shape[1] ** 0.5


class EachAlone(MeanSoFar):
    def mean(self, vectors):
        return vectors


class CentresTheBatch(MeanSoFar):
    def mean(self, vectors):
        return super().mean(vectors - vectors.mean(0))


class FirstListLeads(MeanSoFar):
    """State that belongs to one list is used for all."""

    def mean(self, vectors):
        return super().mean(vectors) + vectors[:1, :1]


class ScaledFromZero(MeanSoFar):
    """Neither the scale nor the layer can leave zero, since the other one is there."""

    def __init__(self, config, width, length):
        super().__init__(config, width, length)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)
        self.scale = nn.Parameter(torch.zeros(width))

    def forward(self, vectors):
        return super().forward(vectors) * self.scale + self.mean(vectors)


class DetachesAtNine(MeanSoFar):
    def mean(self, vectors):
        return super().mean(vectors.detach() if self.config.size == 9 else vectors)


class FailsInTrainingAtOne(MeanSoFar):
    def mean(self, vectors):
        if self.training and self.config.size == 1:
            raise IndexError("nothing to drop")
        return super().mean(vectors)


class DeviationSoFar(MeanSoFar):
    """Of one vector the deviation is zero, where its root has no slope."""

    def mean(self, vectors):
        mean = super().mean(vectors)
        return mean + (super().mean(vectors.square()) - mean.square()).clamp_min(0).sqrt()


class LengthOfTheOpening(NothingToLearn):
    """The same where there is nothing to learn but what it reads."""

    def forward(self, vectors):
        steps = torch.diff(vectors, dim=1, prepend=vectors[:, :1])
        return super().forward(vectors) + steps.square().sum(2, keepdim=True).sqrt()


# --- the tables -------------------------------------------------------------------------------------------------------


class Settings(Config):
    size: Annotated[int, Int(1, 9)] = 4


def fails_at_nine(config, context):
    if config.size == 9:
        raise ValueError("too large")
    return object()


def history(module):
    """How a block is built that makes histories' modules."""
    return lambda config, _context: SimpleNamespace(module=partial(module, config))


RANKING = frozenset({"ranking", "negatives"})
RATINGS = frozenset({"ratings"})
OFFERS = {"losses": RANKING, "blocks": frozenset({"history"})}


class Case(NamedTuple):
    build: object
    check: str  # the one that it breaks
    says: str
    spec: Mapping = MappingProxyType({})
    also: tuple[str, ...] = ()  # checks that it cannot but break too


SAMPLERS = [
    Case(IntegerItems, "draws_are_items", "items are torch.int32, not torch.int64"),
    Case(OddsWithAnAxisTooMany, "odds_are_finite", "log_expected is [1, 7], not [7]"),
    Case(ForgetsTheCount, "draws_come_as_often_as_said", "exp(log_expected) says 50.0"),
    Case(HidesAnItem, "draws_come_as_often_as_said", "item 3 was drawn 0 times, exp(log_expected) says 3200.0"),
    Case(AnotherFunctionForPositives, "positives_are_told_their_own_odds", "by 0.7"),
    Case(GlobalChance, "follows_the_generator_alone", "the same generator gave two different draws"),
    Case(
        NeedsInteractions,
        "serves_every_catalogue_and_count",
        "positive_log_expected holds [-inf]: clamp before you take the logarithm",
    ),
    Case(SortsThePositives, "leaves_what_it_was_given", "positives or context.item_counts, in drawing, was changed"),
]
TASK_SAMPLERS = [
    Case(ShortNumbers, "draws_are_users", "the draw is int32, not int64"),
    Case(EmptyHistories, "users_without_history_are_never_drawn", "whose history is too short"),
    Case(SameUsers, "follows_the_seed_alone", "two seeds gave the same draw"),
    Case(EachUserOnce, "serves_every_count", "the draw is [1], not [20]"),
    Case(WritesIntoLosses, "leaves_what_it_was_given", "lengths, vectors or losses was changed"),
]
LOSSES = [
    Case(Pairwise, "offers_what_it_is_for", "add 'ranking' or 'ratings'", {"offers": frozenset({"negatives"})}),
    Case(
        NoSampler,
        "tells_the_trainer_what_to_draw",
        "negatives is 16, but sampler is None",
        also=("learns_the_groups",),
    ),
    Case(
        Pairwise,
        "tells_the_trainer_what_to_draw",
        "negatives is 16, but it offers ['ranking']",
        {"offers": frozenset({"ranking"})},
    ),
    Case(Doubles, "gives_one_loss_for_each_positive", "the loss is torch.float64 for float32 logits"),
    Case(AimsAtANumber, "a_better_positive_never_costs_more", "a higher positive costs"),
    Case(
        TeachesNothing, "a_step_down_the_gradient_teaches", "the gradient is 0 everywhere", also=("learns_the_groups",)
    ),
    Case(MeanOfTheRest, "accidental_hits_are_harmless", "with 100% of the negatives at -inf the loss is [nan]"),
    Case(LogOfSigmoid, "large_logits_stay_finite", "with the positive at -10000 and the others at 10000 the loss is"),
    Case(WeighsByPlace, "order_of_the_others_does_not_matter", "in another order of the other items the loss"),
    Case(LooksAtTheBatch, "each_positive_stands_alone", "without the rest of the batch the loss"),
    Case(ClampsInPlace, "leaves_what_it_was_given", "positive, others or draw was changed"),
    Case(TooFaint, "learns_the_groups", "by chance 50% do, 90% must"),
    *(
        Case(build, check, says, {"offers": RATINGS}, also)
        for build, check, says, also in (
            (SquaredInDouble, "gives_one_loss_for_each_rating", "the loss is torch.float64 for float32 ratings", ()),
            (CutOff, "the_truth_costs_least", "an error of 4 costs no more than a smaller one", ()),
            (AboveTheMean, "each_rating_stands_alone", "a loss depends on the rest of the batch", ()),
            (ForgetsTheRatings, "leaves_the_ratings", "predicted or ratings", ("each_rating_stands_alone",)),
            (FaintlySquared, "learns_the_ratings", "in 40 epochs the mean error fell from", ()),
        )
    ),
]
SCHEDULES = [
    Case(NegativeAtTheEnd, "factors_are_sane", "the factor at 1.0 is -0.01", also=("hears_any_score",)),
    Case(NeverAnything, "factors_are_sane", "the factor is 0 at every step"),
    Case(CountsQuestions, "asking_changes_nothing", "the factor at 0.0 was 1.0, then"),
    Case(LogOfScore, "hears_any_score", "observe(0.0) raised ValueError"),
    Case(Chance, "equal_scores_give_equal_factors", "after the same scores two schedules differ, first after 0 more"),
    Case(Infinity, "state_is_numbers", "state()['last'] after 0 scores is -inf"),
    Case(Forgets, "goes_on_from_its_state", "resumed after"),
]
META_LEARNERS = [
    Case(
        DropsAName,
        "gives_the_parameters_back",
        "returned ['context', 'extra', 'output.bias', 'output.weight'], was given",
    ),
    Case(Tires, "is_a_pure_function", "the same task gave another answer later"),
    Case(IgnoresTheMask, "padding_has_no_say", "four padded places of item 0, value 0 move it"),
    Case(DividesByTheSize, "padding_alone_gives_finite_parameters", "is not finite without interactions"),
    Case(LooksAtANumber, "many_users_at_once_equal_one_by_one", "vmap: It looks like you're calling .item()"),
    Case(UpTheHill, "moves_towards_the_support", "the error on the support goes from"),
]
BLOCKS = [
    Case(
        fails_at_nine,
        "builds_at_every_corner",
        "size=9: build raised ValueError: too large",
        {"config": Settings, "offers": frozenset()},
    ),
    Case(
        history(LastOnly),
        "history_gives_a_summary_at_every_place",
        "[3, 7, 8] became [3, 1, 8]",
        also=("history_sees_no_later_vector",),
    ),
    Case(history(TwiceAsWide), "history_gives_a_summary_at_every_place", "[3, 1, 8] became [3, 1, 16]"),
    Case(
        history(OnePlaceTooFew),
        "history_gives_a_summary_at_every_place",
        "summing up 10 vectors of at most 10: it raised IndexError",
    ),
    Case(history(ByPlacesLeft), "history_gives_a_summary_at_every_place", "of 10 vectors it makes NaN"),
    Case(history(MeanOfTheList), "history_sees_no_later_vector", "summary 0 changes when later vectors are there"),
    Case(history(ScaledByTheList), "history_sees_no_later_vector", "summary 0 changes when later vectors are there"),
    Case(history(EachAlone), "history_sees_no_later_vector", "does not depend on the first vector"),
    Case(history(CentresTheBatch), "history_reads_each_list_alone", "list 0 alone has other summaries"),
    Case(history(FirstListLeads), "history_reads_each_list_alone", "list 1 alone has other summaries"),
    Case(history(ScaledFromZero), "history_learns", "the defaults: no gradient reaches a parameter"),
    Case(
        history(DetachesAtNine),
        "history_learns",
        "size=9: no gradient reaches the vectors that it reads",
        {"config": Settings},
    ),
    Case(
        history(FailsInTrainingAtOne),
        "history_learns",
        "size=1: it raised IndexError: nothing to drop",
        {"config": Settings},
    ),
    Case(history(DeviationSoFar), "history_learns", "a gradient of the vectors is NaN or infinite"),
    Case(history(LengthOfTheOpening), "history_learns", "a gradient of the vectors is NaN or infinite"),
]
SOUND = [
    ("samplers", Even),
    ("task_samplers", AnyUser),
    ("losses", Pairwise),
    ("losses", Margin),
    ("schedules", Halving),
    ("meta_learners", OneStep),
    ("blocks", history(MeanSoFar)),
    ("blocks", history(NothingToLearn)),
]
BROKEN = {
    "samplers": SAMPLERS,
    "task_samplers": TASK_SAMPLERS,
    "losses": LOSSES,
    "schedules": SCHEDULES,
    "meta_learners": META_LEARNERS,
    "blocks": BLOCKS,
}
CASES = [pytest.param(kind, case, id=f"{kind}-{case.check}") for kind, cases in BROKEN.items() for case in cases]


def with_plugin(kind, build, **given):
    """The built-ins and one more of this kind, "mine"."""
    offers = OFFERS.get(kind, frozenset())
    factory = (lambda _, context: build(context)) if isinstance(build, type) else build
    spec_class = MetaLearnerSpec if kind == "meta_learners" else PartSpec
    spec = spec_class(**{"name": "mine", "api_version": 1, "offers": offers, "build": factory, **given})
    specs = {**ALL.registry.specs, kind: {**ALL.registry.specs[kind], "mine": spec}}
    return replace(ALL, registry=replace(ALL.registry, specs=MappingProxyType(specs)))


@pytest.mark.parametrize(("kind", "build"), SOUND)
def test_a_sound_plugin_keeps_every_promise(kind, build):
    found = outcomes(with_plugin(kind, build), kind, "mine")
    examined = [outcome for outcome in found if outcome.detail != "it judges lists"]  # of losses, the checks of ratings
    states = {outcome.check: (outcome.state, outcome.detail) for outcome in examined}
    assert states == dict.fromkeys(states, ("kept", ""))


@pytest.mark.parametrize(("kind", "case"), CASES)
def test_a_broken_plugin_breaks_the_check_that_is_about_it(kind, case):
    loaded = with_plugin(kind, case.build, **case.spec)
    broken = {o.check: o.detail for o in outcomes(loaded, kind, "mine") if o.state == "broken"}
    assert set(broken) == {case.check, *case.also}
    assert case.says in broken[case.check]


@pytest.mark.parametrize("kind", BROKEN)
def test_every_check_has_a_plugin_that_breaks_it(kind):
    own = {check.__name__ for check in checks_of(kind)} - {check.__name__ for check in checks_of("fusers")}
    assert {case.check for case in BROKEN[kind]} == own


@pytest.mark.parametrize(("build", "offers", "judges"), [(Pairwise, RANKING, "lists"), (Squared, RATINGS, "ratings")])
def test_a_loss_is_examined_as_what_it_judges(build, offers, judges):
    found = outcomes(with_plugin("losses", build, offers=offers), "losses", "mine")
    passed_over = {outcome.detail for outcome in found if outcome.state == "not applicable"}
    assert passed_over == {f"it judges {judges}"}
    assert {outcome.state for outcome in found} == {"kept", "not applicable"}
