"""What a model's memory does as the catalogue grows, beside what the model states."""

from __future__ import annotations

import json
import tracemalloc
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from recsmith.study.memory import sizes_of
from recsmith.study.prepare import build, learn
from recsmith.testing.conformance.model_ground import item_columns, ready, with_needs
from recsmith.testing.conformance.subject import NotApplicableError, expect
from recsmith.testing.logs import fold_of, histories_of

if TYPE_CHECKING:
    from recsmith.testing.conformance.subject import Subject

CATALOGUES = (400, 800, 1600)
SMALL_THINGS = 1 << 20  # bytes: Python's own objects
STEEPEST = 1.5  # memory may grow with this power of the catalogue: 1 is linear, 2 its square


@dataclass(frozen=True)
class _Used:
    """Bytes that a model took for a catalogue: what numpy shows with the state, and at least in all."""

    items: int
    numpy: int
    whole: int
    stated: float | None  # by the model's own word


def memory_is_as_stated(subject: Subject) -> None:
    """A model takes no more memory than its `memory` states, and where it grows like the catalogue's square, says so.

    The same few interactions are learnt in catalogues of I, 2I and 4I items. What is added from the second to the
    third, divided by what is added from the first to the second, is 2 for linear growth and 4 for the square, whatever
    is spent besides: a model that needs "small_catalogue" may grow so. Counted are numpy's memory at its peak while
    learning, giving its state and answering, and the state. What is stated is also held against the parameters of a
    gradient model, their gradients and the optimiser's moments, with the copies that make a checkpoint.
    """
    square = "small_catalogue" in subject.spec.needs
    if square and subject.spec.memory is None:
        raise NotApplicableError('it says that it needs "small_catalogue"')
    used = [_used(subject, items) for items in CATALOGUES]
    for each in used:
        if each.stated is not None:
            told = f"memory() states {each.stated / 1e6:.1f} MB for {each.items:,} items"
            taken = f"{told}, and {each.whole / 1e6:.1f} MB are taken at least"
            expect(each.whole <= each.stated + SMALL_THINGS, taken)
    first, second = (later.numpy - sooner.numpy for sooner, later in pairwise(used))
    pairs = CATALOGUES[2] ** 2 - CATALOGUES[1] ** 2
    steep = second > 2**STEEPEST * max(first, 1) and second > pairs  # less than a byte for each pair is chance
    sizes = ", ".join(f"{each.numpy / 1e6:.1f} MB for {each.items:,} items" for each in used)
    grown = f'memory grows like the square of the catalogue ({sizes}): add needs={{"small_catalogue"}}'
    expect(square or not steep, grown)


def _used(subject: Subject, items: int) -> _Used:
    """Learn, keep and answer in a catalogue of that size."""
    rng = np.random.default_rng(2)
    rows = [rng.integers(0, CATALOGUES[0], 6) for _ in range(50)]
    fold = with_needs(fold_of(histories_of(rows), [[0]] * 50, items=items, columns=item_columns(items)), subject.spec)
    prepared = ready(subject, fold)
    tracemalloc.start()
    try:
        model, serving = build(prepared.spec, prepared.config, prepared.context)
        done = list(learn(replace(prepared, model=model), fold.train))[-1]
        states = model.state(), done.state()
        serving.scores(fold.holdout.requests.take(np.arange(1)))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    kept, moments = (sum(array.nbytes for array in state.arrays.values()) for state in states)
    learnt = _parameters(model) + kept + 2 * moments if prepared.training else 0
    told = len(json.dumps(states[0].values, default=repr))
    sizes = sizes_of(fold, prepared.content)
    stated = None if subject.spec.memory is None else float(subject.spec.memory(prepared.config, sizes))
    return _Used(items, peak + told, max(peak, learnt), stated)


def _parameters(model: Any) -> int:
    """Bytes of a network's parameters and of the gradients that they have."""
    parameters = list(model.module.parameters())
    gradients = [each.grad for each in parameters if each.grad is not None]
    return sum(int(each.nbytes) for each in (*parameters, *gradients))
