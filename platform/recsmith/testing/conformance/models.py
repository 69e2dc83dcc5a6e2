"""What every model promises: learning, state, scores, and all that is in `model_serving` and `model_answers`."""

from __future__ import annotations

import random
import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from recsmith.contracts.errors import NotFiniteError
from recsmith.study.prepare import build, learn, prepare
from recsmith.testing.conformance import model_answers, model_serving
from recsmith.testing.conformance.model_ground import (
    ITEMS,
    frozen,
    global_state,
    gradient_only,
    kept,
    learnt,
    named,
    ready,
    served,
    small_fold,
    trained_by,
)
from recsmith.testing.conformance.subject import Violation, bits, expect, round_trip, unchanged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from recsmith.contracts.config import Choice
    from recsmith.contracts.data import FloatArray, Fold
    from recsmith.testing.conformance.subject import Subject


# --- learning ---------------------------------------------------------------------------------------------------------


def usable_after_every_epoch(subject: Subject) -> None:
    """After every epoch the model serves finite scores, and learning has changed them."""
    fold = small_fold()
    prepared = ready(subject, fold)
    requests = fold.holdout.requests
    gradient = subject.spec.training == "gradient"
    before = served(prepared.serving, requests, ITEMS, "before the first epoch") if gradient else None
    for done in learn(prepared, fold.train):
        scores = served(prepared.serving, requests, ITEMS, f"after epoch {done.epoch}")
        if before is not None:
            changed = not np.array_equal(scores, before)
            expect(changed, f"after epoch {done.epoch} the scores are those of the untrained model")


def asking_between_epochs_changes_nothing(subject: Subject) -> None:
    """A model that is asked for scores and state after every epoch learns as one that is left alone."""
    gradient_only(subject)
    fold = small_fold()
    alone, asked = learnt(subject, fold), ready(subject, fold)
    for _ in learn(asked, fold.train):
        asked.serving.scores(fold.holdout.requests)
        asked.model.state()
    first, second = (served(p.serving, fold.holdout.requests, ITEMS, "learnt") for p in (alone, asked))
    expect(bits(first) == bits(second), f"scores() or state() disturbs the learning: {_difference(first, second)}")


def only_the_seed_decides(subject: Subject) -> None:
    """One seed gives one model, bit for bit, and the global random state has no say and stays as it was."""
    fold = small_fold()
    found = []
    for number in (1, 1, 2):
        with global_state(number):
            before = _global_state()
            scores = served(learnt(subject, fold).serving, fold.holdout.requests, ITEMS, "learnt")
            left = [name for name, state in _global_state().items() if bits(state) != bits(before[name])]
        found.append(scores)
    advice = "draw from a generator of your own, seeded by context.seed"
    seen = _difference(found[0], found[1])
    expect(bits(found[0]) == bits(found[1]), f"two learnings with one seed give different scores: {seen}; {advice}")
    seen = _difference(found[0], found[2])
    expect(bits(found[0]) == bits(found[2]), f"the scores follow from the global random state: {seen}; {advice}")
    expect(not left, f"the global random state of {', '.join(left)} was changed: {advice}")


def a_stopped_training_resumes(subject: Subject) -> None:
    """Stopped after an epoch and resumed from its state, the training ends in the same model, bit for bit."""
    gradient_only(subject)
    fold = small_fold()
    straight, stopped, resumed = learnt(subject, fold), ready(subject, fold), ready(subject, fold)
    run = learn(stopped, fold.train)
    trainer = round_trip(next(run).state())
    resumed.model.load(kept(stopped.model.state()))
    for _ in learn(resumed, fold.train, resume=trainer):
        pass
    first, second = (served(p.serving, fold.holdout.requests, ITEMS, "learnt") for p in (straight, resumed))
    seen = _difference(first, second)
    expect(bits(first) == bits(second), f"resumed after epoch 1 of 3 it ends elsewhere: {seen}; keep all in state()")


def every_corner_works(subject: Subject) -> None:
    """At every corner of its search space the model builds, learns and gives finite scores."""
    fold = small_fold()
    for label, choice in _corners(subject, fold):
        try:
            prepared = prepare(choice, fold, subject.registry, seed=1)
            for _ in learn(prepared, fold.train):
                pass
        except NotFiniteError:
            continue  # a trial may end pruned for it
        except Exception as error:
            raise Violation(f"{label}: {named(error)}") from error
        served(prepared.serving, fold.holdout.requests, ITEMS, label)


def _corners(subject: Subject, fold: Fold) -> Iterator[tuple[str, Choice]]:
    """Every corner of the space for this log, the defaults first, with one epoch of training."""
    for label, choice in subject.corners(fold.columns):
        yield label, trained_by(subject.spec, choice, {"epochs": 1})


# --- state ------------------------------------------------------------------------------------------------------------


def state_is_plain_data(subject: Subject) -> None:
    """The state is JSON values and numeric arrays, and holds no pickle."""
    round_trip(learnt(subject, small_fold()).model.state())


def a_loaded_model_scores_the_same(subject: Subject) -> None:
    """A model that was built anew, with another seed, and given the state scores the same, bit for bit."""
    fold = small_fold()
    first, second = learnt(subject, fold), ready(subject, fold, seed=2)
    second.model.load(kept(first.model.state()))
    for what, requests in model_serving.usual_requests(subject, fold, first.serving).items():
        one = served(first.serving, requests, ITEMS, what)
        other = served(second.serving, requests, ITEMS, f"loaded: {what}")
        same = bits(one) == bits(other)
        expect(same, f"{what}: a loaded model scores otherwise: {_difference(one, other)}; keep all in state()")


def a_loaded_model_scores_the_same_at_every_corner(subject: Subject) -> None:
    """At every other corner of its search space, too, a model built anew and given the state scores the same."""
    fold = small_fold()
    requests = fold.holdout.requests
    for label, choice in list(_corners(subject, fold))[1:]:
        try:
            first, second = (prepare(choice, fold, subject.registry, seed=seed) for seed in (1, 2))
            for _ in learn(first, fold.train):
                pass
        except Exception:  # noqa: BLE001, S112 - `every_corner_works` tells of it
            continue
        try:
            second.model.load(kept(first.model.state()))
        except Exception as error:
            raise Violation(f"{label}: the state cannot be loaded: {named(error)}") from error
        one, other = (np.array(prepared.serving.scores(requests)) for prepared in (first, second))
        same = bits(one) == bits(other)
        expect(same, f"{label}: a loaded model scores otherwise: {_difference(one, other)}; keep all in state()")


def a_state_stays_as_it_was(subject: Subject) -> None:
    """A state that was taken after an epoch is not changed by the epochs that follow."""
    gradient_only(subject)
    fold = small_fold()
    prepared = ready(subject, fold)
    run = learn(prepared, fold.train)
    next(run)
    state = prepared.model.state()
    before = bits(state)
    for _ in run:
        pass
    expect(before == bits(state), "state() gives the arrays that the model goes on learning in: copy them")


def given_data_is_left_alone(subject: Subject) -> None:
    """Nothing that the model is given is written to, and read-only arrays are good enough."""
    fold = small_fold()
    prepared = ready(subject, fold)
    context = frozen(prepared.context)
    requests = fold.holdout.requests
    made: list[Any] = []
    _left_alone(context, lambda: made.extend(build(prepared.spec, prepared.config, context)), "build(): the context")
    model = made[0]
    again = replace(prepared, model=model)
    _left_alone(fold.train, lambda: list(learn(again, fold.train)), "learning: the training rows")
    _left_alone(requests, lambda: model.scores(requests), "scores(): the requests")
    before = served(model, requests, ITEMS, "learnt")
    state = kept(model.state())
    after = served(model, requests, ITEMS, "after state()")
    expect(bits(before) == bits(after), f"state() changes the model: {_difference(before, after)}")
    other = ready(subject, fold).model
    _left_alone(state, lambda: (other.load(state), other.scores(requests)), "load(): the state")


# --- scores -----------------------------------------------------------------------------------------------------------


def scores_are_finite_float32(subject: Subject) -> None:
    """Scores are a numpy array of float32, finite, with one row per request and one column per item [B, I]."""
    fold = small_fold()
    model = learnt(subject, fold).serving
    for what, requests in model_serving.usual_requests(subject, fold, model).items():
        scores: Any = model.scores(requests)
        expect(isinstance(scores, np.ndarray), f"{what}: scores are a {type(scores).__name__}, not a numpy array")
        expect(scores.dtype == np.float32, f"{what}: scores are {scores.dtype}, not float32")
        served(model, requests, ITEMS, what)


def scores_are_a_fresh_array(subject: Subject) -> None:
    """Scores belong to whoever asked: writing into them changes no later answer."""
    fold = small_fold()
    model = learnt(subject, fold).serving
    requests = fold.holdout.requests
    first = model.scores(requests)
    copy = np.array(first)
    second = model.scores(requests)
    expect(not np.shares_memory(first, second), "two calls of scores() gave the same memory: return a new array")
    expect(bits(copy) == bits(np.array(second)), f"asked twice, it answers twice: {_difference(copy, second)}")
    if second.flags.writeable:
        second[:] = -1.0
    third = np.array(model.scores(requests))
    expect(bits(copy) == bits(third), "what is written into scores comes back with the next answer: return a copy")


def _difference(one: FloatArray, other: FloatArray) -> str:
    """How far two arrays of scores lie apart."""
    differs = np.asarray(one) != np.asarray(other)
    row, item = np.argwhere(differs)[0] if differs.any() else (0, 0)
    place = f"request {row}, item {item}: {one[row, item]:.6g} and {other[row, item]:.6g}"
    return f"{int(differs.sum())} of {differs.size} differ, the first for {place}"


def _global_state() -> dict[str, Any]:
    return {
        "random": random.getstate(),
        "numpy": np.random.get_state(),  # noqa: NPY002 - a plugin may use it
        "torch": torch.get_rng_state(),
    }


def _left_alone(given: Any, work: Callable[[], object], what: str) -> None:
    """Do the work on read-only arrays and see that nothing was written.

    Raises:
        Violation: something was, or the work cannot be done on read-only arrays.
    """
    frozen(given)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The given NumPy array is not writable")  # torch only reads it
            unchanged(given, work, what)
    except ValueError as error:
        if "read-only" not in str(error):
            raise
        raise Violation(f"{what}: {named(error)}: copy before you write, trials share these arrays") from error


CHECKS = (
    usable_after_every_epoch,
    asking_between_epochs_changes_nothing,
    only_the_seed_decides,
    a_stopped_training_resumes,
    every_corner_works,
    state_is_plain_data,
    a_loaded_model_scores_the_same,
    a_loaded_model_scores_the_same_at_every_corner,
    a_state_stays_as_it_was,
    given_data_is_left_alone,
    scores_are_finite_float32,
    scores_are_a_fresh_array,
    *model_serving.CHECKS,
    *model_answers.CHECKS,
)
