"""Landmarks: how well the simplest models do on a sample of the users. They say of a log what no count says.

Pfahringer et al., Meta-learning by landmarking various learning algorithms, 2000.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from recsmith.contracts.config import Choice
from recsmith.contracts.data import ABSENT, Holdout, Requests
from recsmith.evaluation.judge import judge
from recsmith.search.portfolio import LANDMARK
from recsmith.search.suggest import derive_seed
from recsmith.study.prepare import learn, prepare

if TYPE_CHECKING:
    from recsmith.contracts.data import Fold, LongArray
    from recsmith.contracts.plan import Plan
    from recsmith.wiring.registry import Registry

MODELS = ("popularity", "item_knn")
METRIC = "ndcg@10"
LEARNT = 5_000  # users at most whose training rows are learnt from
JUDGED = 1_000  # requests at most
FAINT = 1e-3  # of the metric: two landmarks below it are alike


def landmarks(fold: Fold, plan: Plan, registry: Registry) -> dict[str, float]:
    """NDCG@10 of each landmark at its defaults on validation, and the binary logarithm of the second over the first.

    A landmark that the plan does without is left out. Seconds at any size of log: 5,000 users learn, 1,000 are judged.
    """
    specs = registry.specs
    if METRIC.partition("@")[0] not in specs["metrics"] or not len(fold.holdout):
        return {}
    sample = sampled(fold, plan.seed)
    found = {f"{LANDMARK}{name}": _judged(name, sample, plan, registry) for name in MODELS if name in specs["models"]}
    if len(found) == len(MODELS):
        first, second = found.values()
        found[f"{LANDMARK}gain"] = math.log2((second + FAINT) / (first + FAINT))
    return found


def sampled(fold: Fold, seed: int, *, learnt: int = LEARNT, judged: int = JUDGED) -> Fold:
    """The same catalogue with fewer users and requests: those who are judged, then others at random."""
    draw = np.random.default_rng(derive_seed(seed, judged, learnt))
    requests = np.sort(draw.permutation(len(fold.holdout))[:judged])
    asking = fold.holdout.requests.user_num[requests]
    known = np.unique(asking[asking != ABSENT]).astype(np.int64)
    others = np.setdiff1d(np.arange(fold.train.users), known)
    users = np.sort(np.concatenate([known, draw.permutation(others)[: max(0, learnt - len(known))]]))
    number = np.full(fold.train.users + 1, ABSENT, np.int32)  # the last place is that of ABSENT
    number[users] = np.arange(len(users))
    train = replace(fold.train, histories=fold.train.histories.take(users), users=len(users), context=())
    holdout = _holdout(fold.holdout, requests, number[asking].astype(np.int32))
    return replace(fold, train=train, holdout=holdout, user_ids=fold.user_ids[users], items=(), users=())


def _holdout(holdout: Holdout, rows: LongArray, user_num: np.typing.NDArray[np.int32]) -> Holdout:
    lengths = np.diff(holdout.target_indptr)[rows]
    indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    places = np.arange(indptr[-1]) - np.repeat(indptr[:-1] - holdout.target_indptr[rows], lengths)
    old = holdout.requests
    requests = Requests(user_num, old.histories.take(rows), old.histories_are_training)
    value = None if holdout.target_value is None else holdout.target_value[places]
    return Holdout(requests, indptr, holdout.target_item[places], value)


def _judged(name: str, fold: Fold, plan: Plan, registry: Registry) -> float:
    prepared = prepare(Choice(name=name), fold, registry, seed=plan.seed)
    for _ in learn(prepared, fold.train):
        pass
    scenario = "next_item" if plan.scenario == "rating" else plan.scenario
    found = judge(prepared.serving, fold, [METRIC], registry, scenario=scenario, mask_seen=plan.mask_seen)
    return found.figures[METRIC]
