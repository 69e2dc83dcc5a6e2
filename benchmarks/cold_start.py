"""New users after k interactions: every meta-learner and baseline, k from 0 to 20, several seeds; one page of tables.

    OMP_NUM_THREADS=1 python benchmarks/cold_start.py DATA [--logs ml-100k ml-1m] [--tasks rating ranking] [--seeds 5]
        [--methods maml …] [--workers 2] [--page-only]

DATA is a folder with the logs. A fifth of the users (who have more than 20 interactions) are new in the test, a tenth
in the validation; their first 20 interactions, by time, may be told, all later ones are asked for, the same for every
k. Each seed draws other users and other first weights. A gradient model's epochs are chosen on the validation at k = 5;
it learns again on train and validation for as many. Settings are defaults, no search.

What is done stands in docs/benchmarks/cold_start.jsonl, one line for each log, task, method and seed, and is skipped;
docs/benchmarks/cold_start.md is made from it. A line holds the figures at every k, and each user's at k = 5, for paired
differences.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cold_start_page import page
from zoo import SEARCH_SHARE, tried

from recsmith.contracts.config import Choice
from recsmith.contracts.plan import DataPlan, Engine, Plan
from recsmith.evaluation.judge import judge
from recsmith.evaluation.shots import FirstShots
from recsmith.search.threads import threads_for
from recsmith.study.refit import learn_again
from recsmith.study.setup import Setup, set_up
from recsmith.wiring.plugins import load_plugins

if TYPE_CHECKING:
    from recsmith.contracts.data import Fold
    from recsmith.study.prepare import Prepared

DOCS = Path(__file__).parents[1] / "docs" / "benchmarks"
RECORD, PAGE = DOCS / "cold_start.jsonl", DOCS / "cold_start.md"
SHOTS = (0, 1, 2, 3, 5, 10, 20)
CHOSEN_AT = 5
KNOWN = 20  # interactions of a new user that may be told
LEARNERS = (
    *("user_offset", "ridge_fold_in", "fine_tune"),
    *("maml", "fomaml", "anil", "reptile", "meta_sgd", "meta_dropout", "gradient_weighted", "averaging"),
    *("policy_gradient", "cnp", "prototypes", "r2d2"),
)
BASELINES = {
    "rating": ("bias", "biased_mf", "svdpp", "item_knn_ratings"),
    "ranking": ("popularity", "item_knn", "ease", "ials", "bpr_mf"),
}
METRICS = {"rating": ("mae", "rmse"), "ranking": ("ndcg@10",)}
MINUTES = 20.0  # of one cell


@dataclass(frozen=True)
class Cell:
    """One method on one log with one seed."""

    log: str
    task: str  # rating or ranking
    method: str
    seed: int

    @property
    def key(self) -> str:
        """Its name in the record."""
        return f"{self.log}/{self.task}/{self.method}/{self.seed}"


def plan_of(cell: Cell, data: Path) -> Plan:
    """The plan of a cell."""
    overrides: dict[str, Any] = {"model": cell.method}
    if cell.method in LEARNERS:
        overrides = {"model": "adaptive_mlp", "model.adaptive_mlp.meta_learner": cell.method}
    return Plan(
        name="cold_start",
        data=DataPlan(source=str(data / cell.log)),
        scenario="rating" if cell.task == "rating" else "cold_user",
        split=Choice(name="cold_user", params={"test": 0.2, "valid": 0.1, "support": KNOWN}),
        metrics=METRICS[cell.task],
        overrides=overrides,
        engine=Engine(name="inline"),
        seed=cell.seed,
    )


def measured(cell: Cell, data: Path, folder: Path) -> dict[str, Any]:
    """Run a cell in this process; its line of the record."""
    setup = set_up(plan_of(cell, data), load_plugins().registry, folder=folder)
    deadline = time.monotonic() + 60 * MINUTES * SEARCH_SHARE
    best, cut = tried(setup, folder, deadline, told_five(setup.split.search))
    setup.split.sealed.release("the epochs are chosen")
    fold = setup.split.sealed.open()
    started = time.monotonic()
    prepared = learn_again(best, fold, setup)
    fit = time.monotonic() - started
    figures, users, seconds = at_all_shots(prepared, fold, setup)
    return {
        "figures": figures,
        "users": users,
        "requests": len(fold.holdout),
        "epochs": best.best_epoch,
        "fit": round(fit, 2),
        "milliseconds": round(1000 * seconds / len(fold.holdout), 3),
        "cut": cut,
    }


def told_five(fold: Fold) -> Fold:
    """The fold, its requests told of five interactions."""
    requests = fold.holdout.requests
    told = replace(requests, histories=requests.histories.first(CHOSEN_AT))
    return replace(fold, holdout=replace(fold.holdout, requests=told))


def at_all_shots(
    prepared: Prepared, fold: Fold, setup: Setup
) -> tuple[dict[str, dict[int, float]], list[float], float]:
    """Figures by metric and k, each user's first metric at k = 5, and the seconds of answering there."""
    figures: dict[str, dict[int, float]] = {name: {} for name in setup.metrics}
    users, seconds = [], 0.0
    for shots in SHOTS:
        started = time.monotonic()
        found = judge(
            FirstShots(prepared.serving, shots), fold, setup.metrics, setup.registry, scenario=setup.plan.scenario
        )
        for name, value in found.figures.items():
            figures[name][shots] = round(value, 6)
        if shots == CHOSEN_AT:
            seconds = time.monotonic() - started
            users = [round(float(value), 4) for value in found.per_request[setup.metrics[0]]]
    return figures, users, seconds


def recorded() -> dict[str, dict[str, Any]]:
    """The last line of each cell."""
    lines = RECORD.read_text(encoding="utf-8").splitlines() if RECORD.is_file() else []
    return {entry["key"]: entry for entry in map(json.loads, lines)}


def run(cell: Cell, data: Path) -> dict[str, Any]:
    """Run a cell in a process of its own; its line of the record, also where it failed."""
    command = [sys.executable, __file__, str(data), "--cell", json.dumps(asdict(cell))]
    with tempfile.TemporaryDirectory(prefix="cold-") as scratch:
        done = subprocess.run(
            command, env=os.environ | {"OMP_NUM_THREADS": "1"}, cwd=scratch, capture_output=True, check=False
        )
    line: dict[str, Any] = {"key": cell.key, **asdict(cell)}
    if done.returncode:
        return line | {"failed": (done.stderr.decode().strip() or "killed").splitlines()[-1][:300]}
    return line | json.loads(done.stdout.decode().splitlines()[-1])


def main() -> None:
    """Run what is open, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--logs", nargs="+", default=["ml-100k", "ml-1m"])
    parser.add_argument("--tasks", nargs="+", choices=METRICS, default=list(METRICS))
    parser.add_argument("--methods", nargs="+", default=[])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--page-only", action="store_true")
    parser.add_argument("--cell", type=json.loads, help=argparse.SUPPRESS)
    settings = parser.parse_args()
    settings.data = settings.data.absolute()
    if settings.cell:
        with threads_for(1):
            print(json.dumps(measured(Cell(**settings.cell), settings.data, Path.cwd() / "study")))
        return
    DOCS.mkdir(exist_ok=True)
    known = recorded()
    cells = [
        Cell(log, task, method, seed)
        for log in settings.logs
        for seed in range(settings.seeds)
        for task in settings.tasks
        for method in (*BASELINES[task], *LEARNERS)
        if method in (settings.methods or (*BASELINES[task], *LEARNERS))
    ]
    cells = [] if settings.page_only else [cell for cell in cells if "figures" not in known.get(cell.key, {})]
    print(f"{len(cells)} cells to run", flush=True)
    with ThreadPoolExecutor(settings.workers) as pool:
        for cell, line in zip(cells, pool.map(lambda cell: run(cell, settings.data), cells), strict=True):
            with RECORD.open("a", encoding="utf-8") as record:
                record.write(json.dumps(line) + "\n")
            first = METRICS[cell.task][0]
            print(cell.key, line.get("failed") or line["figures"][first], flush=True)
    PAGE.write_text(page(recorded(), SHOTS, LEARNERS, BASELINES), encoding="utf-8")


if __name__ == "__main__":
    main()
