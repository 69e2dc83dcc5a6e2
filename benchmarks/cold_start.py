"""New users after k interactions: every meta-learner and baseline, k from 0 to 20, several seeds; one page of tables.

    python benchmarks/cold_start.py DATA [--search] [--logs ml-100k ml-1m] [--tasks rating ranking]
        [--populations random latest] [--seeds 5] [--methods maml …] [--workers 2] [--page-only]

DATA is a folder with the logs. A fifth of the users (who have more than 20 interactions) are new in the test, a tenth
in the validation; their first 20 interactions, by time, may be told, all later ones are asked for, the same for every
k. Each seed draws other users and other first weights; of the latest population the new users are those who came last,
whatever the seed. A gradient model's epochs are chosen on the validation at k = 5; it learns again on train and
validation for as many.

With --search every method is tuned first: a study of 20 trials (3 minutes at most) of ml-100k, split by a seed of its
own, judged on validation users of whom five interactions are known. The best settings stand in
docs/benchmarks/cold_start_settings.json and serve for all logs, populations and seeds, for other columns with the
defaults of these; a method without any has its defaults. Users who are judged may have had a say in the settings, which
are alike for all seeds; the models are learnt without them.

What is done stands in docs/benchmarks/cold_start.jsonl, one line for each log, population, task, method and seed, and
is skipped; docs/benchmarks/cold_start.md is made from it. A line holds the figures at every k, and each user's at k = 5
for paired differences and strata, beside what a user is like.
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

import numpy as np
from cold_start_page import page
from zoo import SEARCH_SHARE, tried

from recsmith.contracts.config import Choice
from recsmith.contracts.plan import Budget, DataPlan, Engine, Plan
from recsmith.evaluation.judge import judge
from recsmith.evaluation.shots import FirstShots
from recsmith.search.carry import carry
from recsmith.search.threads import threads_for
from recsmith.study.refit import learn_again
from recsmith.study.setup import Setup, set_up
from recsmith.study.study import run_study
from recsmith.wiring.plugins import load_plugins

if TYPE_CHECKING:
    from recsmith.contracts.data import Fold
    from recsmith.study.prepare import Prepared

DOCS = Path(__file__).parents[1] / "docs" / "benchmarks"
RECORD, PAGE, SETTINGS = (DOCS / f"cold_start{end}" for end in (".jsonl", ".md", "_settings.json"))
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
SEARCHED, SEARCH_SEED, TRIALS, SEARCH_MINUTES = "ml-100k", 100, 20, 3.0


@dataclass(frozen=True)
class Cell:
    """One method on one log with one seed."""

    log: str
    task: str  # rating or ranking
    method: str
    seed: int
    population: str = "random"  # or latest

    @property
    def key(self) -> str:
        """Its name in the record."""
        return f"{self.log}/{self.population}/{self.task}/{self.method}/{self.seed}"


def plan_of(cell: Cell, data: Path, known: int = KNOWN) -> Plan:
    """The plan of a cell, or of its search."""
    overrides: dict[str, Any] = {"model": cell.method}
    if cell.method in LEARNERS:
        overrides = {"model": "adaptive_mlp", "model.adaptive_mlp.meta_learner": cell.method}
    return Plan(
        name="cold_start",
        data=DataPlan(source=str(data / cell.log)),
        scenario="rating" if cell.task == "rating" else "cold_user",
        split=Choice(name="cold_user", params={"test": 0.2, "valid": 0.1, "support": known, "chosen": cell.population}),
        metrics=METRICS[cell.task],
        overrides=overrides,
        engine=Engine(name="inline"),
        seed=cell.seed,
    )


def searched(cell: Cell, data: Path, folder: Path) -> dict[str, Any]:
    """Tune the method of a cell in this process: the settings that are best on the validation."""
    budget = Budget(trials=TRIALS, time=60 * SEARCH_MINUTES)
    plan = plan_of(cell, data, CHOSEN_AT).model_copy(update={"budget": budget})
    result = run_study(plan, folder)
    counts = {state: count for state, count in result.counts.items() if count}
    found = result.best.configuration.model_dump(mode="json")
    return {"configuration": found, "valid": result.best.value, "trials": counts}


def measured(cell: Cell, data: Path, folder: Path) -> dict[str, Any]:
    """Run a cell in this process; its line of the record."""
    setup = set_up(plan_of(cell, data), load_plugins().registry, folder=folder)
    deadline = time.monotonic() + 60 * MINUTES * SEARCH_SHARE
    tuned = known_settings().get(f"{cell.task}/{cell.method}")
    configuration = None if tuned is None else carry(setup.space, Choice(**tuned["configuration"])).configuration
    best, cut = tried(setup, folder, deadline, told_five(setup.split.search), configuration)
    setup.split.sealed.release("the epochs are chosen")
    fold = setup.split.sealed.open()
    started = time.monotonic()
    prepared = learn_again(best, fold, setup)
    fit = time.monotonic() - started
    figures, users, seconds = at_all_shots(prepared, fold, setup)
    return {
        "figures": figures,
        "users": users,
        "traits": traits(fold),
        "requests": len(fold.holdout),
        "epochs": best.best_epoch,
        "fit": round(fit, 2),
        "milliseconds": round(1000 * seconds / len(fold.holdout), 3),
        "cut": cut,
    }


def traits(fold: Fold) -> dict[str, list[float]]:
    """What each judged user is like, [B] each: queries, mean popularity of the first five items, their mean rating."""
    first = fold.holdout.requests.histories.first(CHOSEN_AT)
    found = {"queries": np.diff(fold.holdout.target_indptr).astype(float)}
    popular = fold.train.counts[first.item_num].astype(float)
    columns = {"popularity of the told": popular, "mean told rating": first.value}
    sizes = np.maximum(first.lengths, 1)
    found |= {
        name: np.bincount(first.rows, column, len(first)) / sizes
        for name, column in columns.items()
        if column is not None
    }
    return {name: [round(float(value), 2) for value in values] for name, values in found.items()}


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


def known_settings() -> dict[str, dict[str, Any]]:
    """The tuned settings, by task and method."""
    found: dict[str, dict[str, Any]] = json.loads(SETTINGS.read_text(encoding="utf-8")) if SETTINGS.is_file() else {}
    return found


def run(cell: Cell, data: Path, *, search: bool = False) -> dict[str, Any]:
    """Run a cell, or its search, in a process of its own; what it found, also where it failed."""
    command = [
        sys.executable,
        __file__,
        str(data),
        "--cell",
        json.dumps(asdict(cell)),
        *(["--search"] if search else []),
    ]
    with tempfile.TemporaryDirectory(prefix="cold-") as scratch:
        done = subprocess.run(
            command, env=os.environ | {"OMP_NUM_THREADS": "1"}, cwd=scratch, capture_output=True, check=False
        )
    line: dict[str, Any] = {"key": cell.key, **asdict(cell)}
    if done.returncode:
        return line | {"failed": (done.stderr.decode().strip() or "killed").splitlines()[-1][:300]}
    return line | json.loads(done.stdout.decode().splitlines()[-1])


def methods(settings: argparse.Namespace) -> list[tuple[str, str]]:
    """The tasks and methods that are asked for."""
    every = [(task, method) for task in settings.tasks for method in (*BASELINES[task], *LEARNERS)]
    return [(task, method) for task, method in every if method in (settings.methods or [method])]


def search(settings: argparse.Namespace) -> None:
    """Tune every method that is not tuned yet."""
    wanted = [pair for pair in methods(settings) if "/".join(pair) not in known_settings()]
    cells = [Cell(SEARCHED, task, method, SEARCH_SEED) for task, method in wanted]
    with ThreadPoolExecutor(settings.workers) as pool:
        for cell, line in zip(cells, pool.map(lambda cell: run(cell, settings.data, search=True), cells), strict=True):
            kept = {name: line[name] for name in ("configuration", "valid", "trials") if name in line}
            if kept:
                found = dict(sorted({**known_settings(), f"{cell.task}/{cell.method}": kept}.items()))
                SETTINGS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
            print(cell.task, cell.method, line.get("failed") or (line["valid"], line["trials"]), flush=True)


def main() -> None:
    """Run what is open, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--logs", nargs="+", default=["ml-100k", "ml-1m"])
    parser.add_argument("--tasks", nargs="+", choices=METRICS, default=list(METRICS))
    parser.add_argument("--search", action="store_true")
    parser.add_argument("--populations", nargs="+", choices=("random", "latest"), default=["random", "latest"])
    parser.add_argument("--methods", nargs="+", default=[])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--page-only", action="store_true")
    parser.add_argument("--cell", type=json.loads, help=argparse.SUPPRESS)
    settings = parser.parse_args()
    settings.data = settings.data.absolute()
    if settings.cell:
        work = searched if settings.search else measured
        with threads_for(1):
            print(json.dumps(work(Cell(**settings.cell), settings.data, Path.cwd() / "study")))
        return
    DOCS.mkdir(exist_ok=True)
    if settings.search:
        search(settings)
        return
    known = recorded()
    cells = [
        Cell(log, task, method, seed, population)
        for log in settings.logs
        for population in settings.populations
        for seed in range(settings.seeds)
        for task, method in methods(settings)
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
