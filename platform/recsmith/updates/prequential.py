"""Judged over time: test on a block of the log, learn from it, go on to the next; three policies side by side.

Prequential evaluation (Gama, Sebastiao and Rodrigues 2013, doi:10.1007/s10994-012-5320-9) by blocks of equal size: what
is judged on block b has learnt from the blocks before it, and from nothing else.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from recsmith.artifacts.catalogue import catalogue_of
from recsmith.artifacts.ensemble import Ensemble
from recsmith.artifacts.members import Restored, serves_new_users
from recsmith.contracts.errors import DataError
from recsmith.data.fold import judged_users, numbered
from recsmith.evaluation.judge import judge
from recsmith.search.suggest import derive_seed
from recsmith.study.prepare import learn, prepare
from recsmith.study.refit import member_of
from recsmith.updates.earlier import Earlier
from recsmith.updates.judgement import compared, forgetting, old_requests
from recsmith.updates.learning import Lesson, learn_more
from recsmith.updates.task import renumbering

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from recsmith.artifacts.catalogue import Catalogue
    from recsmith.artifacts.members import Member
    from recsmith.contracts.artifact import Compared
    from recsmith.contracts.config import Choice
    from recsmith.contracts.data import BoolArray, Fold
    from recsmith.contracts.results import Figure
    from recsmith.data.coded import Dataset
    from recsmith.evaluation.judge import Evaluation
    from recsmith.study.prepare import Prepared
    from recsmith.updates.judgement import Bench
    from recsmith.updates.settings import UpdateSettings

Policy = Literal["never", "update", "retrain"]
POLICIES: tuple[Policy, ...] = ("never", "update", "retrain")
FEWEST = 3  # blocks: one to begin with, one to be judged on, one to be judged on after an update


@dataclass(frozen=True, eq=False)
class BlockFigures:
    """One policy on one block."""

    block: int  # from 1; block 0 is only learnt from
    policy: Policy
    figure: Figure  # the objective with its interval
    evaluation: Evaluation  # request by request
    seconds: float | None  # of learning; None where nothing was learnt
    forgetting: Compared | None  # beside the policy's own model of the block before, on what that one had learnt


@dataclass(frozen=True, eq=False)
class _Standing:
    """A model, and the rows that it has learnt from."""

    member: Member
    catalogue: Catalogue
    ensemble: Ensemble

    @classmethod
    def of(cls, configuration: Choice, prepared: Prepared, fold: Fold, bench: Bench) -> _Standing:
        restored = Restored(prepared.serving, serves_new_users(bench.registry, configuration))
        return cls(member_of(configuration, prepared), catalogue_of(fold), Ensemble((restored,), None, 1))

    def within(self, fold: Fold, bench: Bench) -> Earlier:
        """The model in the numbers of a later fold."""
        numbers = renumbering(self.catalogue, fold)
        rating = bench.scenario == "rating"
        return Earlier.of(self.ensemble, self.catalogue.counts, numbers, mask_seen=bench.mask_seen, rating=rating)


def prequential(
    dataset: Dataset, configuration: Choice, bench: Bench, settings: UpdateSettings, *, blocks: int = 5, start: int = 0
) -> Iterator[BlockFigures]:
    """Judge the policies block by block: all that is asked of a user is the last interaction in the block.

    The history of a request is everything before it, that of the block included, so that new users are judged by what
    they have done so far. All policies answer the same requests.

    Args:
        dataset: a log with timestamps.
        configuration: the model and its settings; with `settings.epochs` an update goes on, `training.epochs` is what
            learning from the beginning takes.
        bench: what to judge by.
        settings: how an update learns.
        blocks: into how many blocks of equal size the log is cut.
        start: as many of the first rows are the first block, whatever its size; 0: it is like the others.

    Raises:
        DataError: there are no timestamps, fewer than three blocks, or nobody is judged on one.
    """
    if dataset.timestamp is None or blocks < FEWEST:
        raise DataError(f"{dataset.source}: blocks over time need timestamps, and {FEWEST} blocks at least.")
    row = np.arange(len(dataset))
    later = (row - start) * (blocks - 1) // max(1, len(dataset) - start)
    number = np.where(row < start, 0, later + 1) if start else row * blocks // len(dataset)
    standing: dict[Policy, _Standing] = {}
    for block in range(1, blocks):
        fold = _fold(dataset, number, block)
        fresh = np.isin(fold.user_ids, dataset.user_ids[np.unique(dataset.user[number == block - 1])])
        for policy in POLICIES:
            before = standing.get(policy)
            started = time.monotonic()
            if not standing or (policy == "retrain" and before is not None):
                now = _from_the_beginning(configuration, fold, bench)
            elif policy == "update" and before is not None:
                now = _updated(before, fold, fresh, bench, settings)
            else:
                now = before or standing["never"]  # all begin alike
            seconds = None if now in standing.values() else time.monotonic() - started
            standing[policy] = now
            yield _figures(block, policy, before, now, fold, bench, seconds)


def differences(found: Sequence[BlockFigures], bench: Bench) -> dict[str, Compared]:
    """From each rival to the policy "update", over all requests of the blocks after the first update."""
    values = {
        policy: np.concatenate(
            [each.evaluation.per_request[bench.objective] for each in found if each.policy == policy and each.block > 1]
        )
        for policy in POLICIES
    }
    return {rival: compared(values[rival], values["update"], bench) for rival in POLICIES if rival != "update"}


def _fold(dataset: Dataset, number: np.ndarray[tuple[int], np.dtype[np.int64]], block: int) -> Fold:
    within = number == block
    rows = np.flatnonzero(within)
    newest = dataset.user[rows][::-1]
    target = np.zeros(len(dataset), np.bool_)
    target[rows[len(rows) - 1 - np.unique(newest, return_index=True)[1]]] = True
    train, support = number < block, within & ~target
    if not len(judged_users(dataset, train, target, support)):
        raise DataError(f"{dataset.source}: nobody with a history is in block {block}. Take fewer blocks.")
    return numbered(dataset, train, target, support)


def _from_the_beginning(configuration: Choice, fold: Fold, bench: Bench) -> _Standing:
    prepared = prepare(configuration, fold, bench.registry, seed=derive_seed(bench.seed, 0))
    for _ in learn(prepared, fold.train):
        pass
    return _Standing.of(configuration, prepared, fold, bench)


def _updated(before: _Standing, fold: Fold, fresh: BoolArray, bench: Bench, settings: UpdateSettings) -> _Standing:
    numbers = renumbering(before.catalogue, fold)
    histories = before.catalogue.histories
    seed = derive_seed(bench.seed, fold.train.users, len(fold.train.histories.item_num))
    lesson = Lesson(fold, histories, numbers, fresh, settings, bench.registry, seed)
    learnt = learn_more(before.member, lesson)
    return _Standing.of(before.member.configuration, learnt.prepared, fold, bench)


def _figures(
    block: int,
    policy: Policy,
    before: _Standing | None,
    now: _Standing,
    fold: Fold,
    bench: Bench,
    seconds: float | None,
) -> BlockFigures:
    model = now.within(fold, bench)
    found = judge(model, fold, (bench.objective,), bench.registry, scenario=bench.scenario, mask_seen=bench.mask_seen)
    lost = None
    if before is not None and before is not now:
        old = old_requests(
            before.catalogue.histories, renumbering(before.catalogue, fold), ordered=True, seed=bench.seed
        )
        lost = forgetting(before.within(fold, bench), model, fold, old, bench)
    return BlockFigures(block, policy, found.intervals(bench.seed)[bench.objective], found, seconds, lost)
