"""Does a source domain help where little is known of the target? Transfer against the target's interactions alone.

    python benchmarks/cross_domain.py DATA [--logs ciao] [--keep 0.1] [--cold 0.2] [--seeds 5] [--models emcdr …]

DATA is a folder with the logs amazon-electronic-phone (the same users in two domains, target: phone) and ciao (six
categories, target: the largest). Of the target domain's interactions but the test the share --keep is known; with
--cold the test is everything that so many of the shared users did there, else everybody's last interaction. Every
model learns at its defaults, its epochs chosen on the validation, once from all domains and once from the target domain
alone, on the same split; both are judged on the same requests, over the items of the target domain that somebody took.
Who has no history in the target domain is recommended the most popular by models of that domain alone, on the test; on
the validation, where models and epochs are chosen, by nobody. A seed draws the split and starts the models.

Printed are NDCG@10 on validation and test, and the gain by transfer: of each model against itself, and of the transfer
that is best on the validation against the best of the target alone. A user's mean over the seeds is one value; the
interval is a 95 % bootstrap over users, p that of a sign-flip test.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from zoo import tried

from recsmith.contracts.config import Choice
from recsmith.contracts.data import ABSENT, Requests
from recsmith.contracts.plan import Columns, DataPlan, Engine, Plan
from recsmith.evaluation.compare import paired
from recsmith.evaluation.judge import judge
from recsmith.search.threads import threads_for
from recsmith.study.refit import learn_again
from recsmith.study.setup import set_up
from recsmith.wiring.plugins import load_plugins

if TYPE_CHECKING:
    from recsmith.contracts.data import DoubleArray, FloatArray, Fold, Histories
    from recsmith.contracts.models import Model
    from recsmith.study.setup import Setup

METRIC = "ndcg@10"
BOTH = ("popularity", "item_knn", "user_knn", "rp3beta", "ials", "pure_svd", "bpr_mf", "lightgcn", "two_tower")
ACROSS = ("emcdr", "meta_bridge")  # which mean nothing in one domain
LOGS = {
    "amazon-electronic-phone": ({}, "phone"),
    "ciao": ({"domain": "category_id"}, "6"),
}
MINUTES = 6.0  # of a model's search for its epochs


@dataclass(frozen=True, eq=False)
class Judged:
    """A model on the requests of one split: its value on the validation, and of each user of the test."""

    valid: float
    test: dict[str, float]


class OrPopular:
    """A model; who has no history is recommended the most popular."""

    def __init__(self, model: Model, counts: DoubleArray) -> None:
        self.model, self.counts = model, counts

    def scores(self, requests: Requests) -> FloatArray:
        """[B, I]."""
        found = np.array(self.model.scores(requests))
        found[requests.histories.lengths == 0] = self.counts
        return found


def alone(fold: Fold) -> Fold:
    """The fold with what happened in the target domain only; items keep their numbers, users without any are new."""
    inside = fold.candidates
    known = _only(fold.train.histories, inside)
    users = np.flatnonzero(known.lengths)
    number = np.full(fold.train.users, ABSENT, np.int32)
    number[users] = np.arange(len(users))
    asked = fold.holdout.requests
    requests = Requests(number[asked.user_num], _only(asked.histories, inside), asked.histories_are_training)
    return replace(
        fold,
        train=replace(fold.train, histories=known.take(users), users=len(users)),
        holdout=replace(fold.holdout, requests=requests),
        user_ids=fold.user_ids[users],
    )


def _only(histories: Histories, inside: Any) -> Histories:
    kept = inside[histories.item_num]
    counts = np.bincount(histories.rows[kept], minlength=len(histories))
    parts = {name: getattr(histories, name) for name in ("timestamp", "value", "weight")}
    return replace(
        histories,
        indptr=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        item_num=histories.item_num[kept],
        **{name: None if part is None else part[kept] for name, part in parts.items()},
    )


def measured(setup: Setup, folder: Path, view: Any) -> Judged:
    """Learn for as many epochs as are best on the validation, learn again, and judge on the test."""
    best, _ = tried(setup, folder, time.monotonic() + 60 * MINUTES, view(setup.split.search))
    fold = view(setup.split.sealed.open())
    prepared = learn_again(best, fold, setup)
    counts = np.where(fold.candidates, fold.train.counts, 0).astype(np.float32)
    test = judge(OrPopular(prepared.serving, counts), fold, [METRIC], setup.registry, scenario="cross_domain")
    owners = judged_ids(setup)
    return Judged(best.value or 0.0, dict(zip(owners, test.per_request[METRIC].tolist(), strict=True)))


def judged_ids(setup: Setup) -> list[str]:
    """The user of each request of the test."""
    fold = setup.split.sealed.open()
    return [str(user) for user in fold.user_ids[fold.holdout.requests.user_num]]


def means(rows: list[Judged]) -> dict[str, float]:
    """Each user's mean over the seeds."""
    values: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        for user, value in row.test.items():
            values[user].append(value)
    return {user: float(np.mean(found)) for user, found in values.items()}


def told(what: str, after: list[Judged], before: list[Judged]) -> str:
    """One comparison."""
    one, two = means(after), means(before)
    users = sorted(one.keys() & two.keys())
    found = paired(np.array([one[user] for user in users]), np.array([two[user] for user in users]), seed=1)
    interval = f"[{found.low:+.4f}, {found.high:+.4f}]"
    return f"  {what:40s} {found.difference:+.4f} {interval}, p {found.p_value:.4f}, {found.n:,} users"


def studied(name: str, settings: argparse.Namespace) -> None:
    """Everything about one log."""
    columns, target = LOGS[name]
    registry = load_plugins().registry
    found: dict[tuple[str, str], list[Judged]] = defaultdict(list)
    for seed in range(settings.seeds):
        for model in (model for model in (*BOTH, *ACROSS) if model in (settings.models or (*BOTH, *ACROSS))):
            plan = Plan(
                name="cross_domain",
                data=DataPlan(source=str(settings.data / name), columns=Columns(**columns)),
                scenario="cross_domain",
                split=Choice(
                    name="cross_domain", params={"target": target, "keep": settings.keep, "cold": settings.cold}
                ),
                metrics=(METRIC,),
                overrides={"model": model},
                engine=Engine(name="inline"),
                seed=seed,
            )
            for kind, view in (("transfer", lambda fold: fold), ("alone", alone)):
                if model in ACROSS and kind == "alone":
                    continue
                with tempfile.TemporaryDirectory(prefix="cross-") as scratch:
                    setup = set_up(plan, registry, folder=Path(scratch))
                    setup.split.sealed.release("the model and its settings are fixed")
                    found[model, kind].append(measured(setup, Path(scratch), view))
    known = f"{settings.keep:.0%} of it known, {settings.cold:.0%} new users"
    print(f"{name}: target {target}, {known}, {settings.seeds} seeds, {METRIC}")
    best = {}
    for (model, kind), rows in found.items():
        valid, test = np.mean([row.valid for row in rows]), np.mean(list(means(rows).values()))
        best[kind] = max(best.get(kind, (-1.0, "")), (float(valid), model))
        print(f"  {model:12s} {kind:9s} valid {valid:.4f} test {test:.4f}")
    for model in BOTH:
        if (model, "alone") in found:
            print(told(f"{model}, by transfer", found[model, "transfer"], found[model, "alone"]))
    (_, across), (_, one) = best["transfer"], best["alone"]
    for model in ACROSS:
        if (model, "transfer") in found:
            print(told(f"{model} - {one} alone", found[model, "transfer"], found[one, "alone"]))
    print(told(f"best: {across} - {one} alone", found[across, "transfer"], found[one, "alone"]), flush=True)


def main() -> None:
    """Print the tables of each log."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--logs", nargs="+", choices=LOGS, default=list(LOGS))
    parser.add_argument("--models", nargs="+", default=[])
    parser.add_argument("--keep", type=float, default=0.1)
    parser.add_argument("--cold", type=float, default=0.0)
    parser.add_argument("--seeds", type=int, default=5)
    settings = parser.parse_args()
    settings.data = settings.data.absolute()
    with threads_for(1):
        for name in settings.logs:
            studied(name, settings)


if __name__ == "__main__":
    main()
