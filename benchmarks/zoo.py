"""Every model on real logs, at its defaults and after a search: quality, seconds, memory; one page of tables.

    python benchmarks/zoo.py DATA [--logs ml-100k …] [--models ease …] [--minutes 20] [--workers 2] [--page-only]

DATA is a folder with the logs, each in a folder of its own. A model learns on train, its epochs are chosen on valid,
it learns again on train and valid for as many, and is judged on test. Each does so in a process of its own, on one
thread, for at most --minutes; one that was cut is marked, and is run again when more minutes are given. What is done
stands in docs/benchmarks/zoo.jsonl, one line each, and is skipped; docs/benchmarks/zoo.md is made from it.

Seconds are those of the second learning, and of ranking the ten best items for every request of the test. Memory is
what that process took at most beyond what it held before, log included, in the larger of both learnings; of a search it
is not told.
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
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo_page import page

from recsmith.contracts.config import Choice
from recsmith.contracts.plan import Budget, DataPlan, Engine, Filter, Plan, TrialPlan
from recsmith.evaluation.judge import judge
from recsmith.inference.ranking import rank
from recsmith.search.suggest import defaults, read
from recsmith.search.threads import threads_for
from recsmith.study.memory import give_back, sizes_of
from recsmith.study.refit import learn_again
from recsmith.study.setup import Setup, set_up
from recsmith.study.study import run_study
from recsmith.study.trial import run_trial
from recsmith.wiring.plugins import load_plugins

if TYPE_CHECKING:
    from recsmith.contracts.data import Fold
    from recsmith.contracts.results import TrialResult

DOCS = Path(__file__).parents[1] / "docs" / "benchmarks"
RECORD, PAGE = DOCS / "zoo.jsonl", DOCS / "zoo.md"
SEARCH_SHARE = 0.45  # of a cell's time; to learn again takes as long at most
TRIALS = 20
STUDIED = (
    *("item_knn", "rp3beta", "slim", "ease", "edlae", "pure_svd", "ials", "bpr_mf", "lightgcn", "mult_vae"),
    *("neumf", "deepfm", "sasrec", "gru4rec", "caser", "bert4rec", "hstu", "two_tower"),
)
INTERACTIONS = {
    "ml-100k": 100_000,
    "ml-1m": 1_000_209,
    "amazon-beauty": 198_502,
    "lastfm-hetrec2011": 92_834,
    "foursquare-nyc": 147_938,
    "msweb": 113_845,
}
RATINGS = ("mae", "rmse", "ndcg@10")


@dataclass(frozen=True)
class Log:
    """A log and how it is judged."""

    folder: str
    facts: dict[str, Any]  # of the plan
    models: tuple[str, ...] = ()  # these only; none: all that can


LOGS = {
    "ml-100k": Log("ml-100k", {}),
    "ml-1m": Log("ml-1m", {}),
    "amazon-beauty": Log("amazon-beauty", {}),
    "lastfm-hetrec2011": Log("lastfm-hetrec2011", {}),
    "foursquare-nyc": Log("foursquare-nyc", {"mask_seen": False}),
    "msweb": Log("msweb", {}),
    "ml-1m 8:1:1": Log(
        "ml-1m",
        {"split": Choice(name="random_ratio", params={"valid": 0.1, "test": 0.1}), "filter": Filter(min_value=3)},
        ("popularity", "ease", "ials", "bpr_mf", "lightgcn", "neumf", "mult_vae"),
    ),
    "ml-100k ratings": Log("ml-100k", {"scenario": "rating"}),
    "ml-1m ratings": Log("ml-1m", {"scenario": "rating"}),
}


@dataclass(frozen=True)
class Cell:
    """One model on one log: at its defaults, or after a search of so many trials."""

    log: str
    model: str
    trials: int = 1

    @property
    def key(self) -> str:
        """Its name in the record."""
        return f"{self.log}/{self.model}/{self.trials}"


def plan_of(cell: Cell, data: Path, minutes: float) -> Plan:
    """The plan of a cell; of all models where it names none."""
    log = LOGS[cell.log]
    facts = dict(log.facts)
    source = DataPlan(source=str(data / log.folder), filter=facts.pop("filter", Filter()))
    rated = facts.get("scenario") == "rating"
    return Plan(
        name="zoo",
        data=source,
        metrics=RATINGS if rated else ("ndcg@10",),
        overrides={"model": cell.model} if cell.model else {},
        budget=Budget(trials=cell.trials, time=60 * minutes * SEARCH_SHARE),
        engine=Engine(name="inline"),
        seed=1,
        **facts,
    )


def measured(cell: Cell, data: Path, minutes: float, folder: Path) -> dict[str, Any]:
    """Run a cell in this process; its line of the record."""
    plan = plan_of(cell, data, minutes)
    registry = load_plugins().registry
    begun = time.monotonic()
    if cell.trials > 1:
        study = run_study(plan, folder)
        best, cut = study.best, sum(study.counts.get(state, 0) for state in ("complete", "pruned", "failed")) < TRIALS
        setup, memory = set_up(plan, registry, folder=folder), None
    else:
        setup = set_up(plan, registry, folder=folder)
        before = resident(peak=False)
        best, cut = tried(setup, folder, begun + 60 * minutes * SEARCH_SHARE)
        memory = resident(peak=True) - before
    searched = time.monotonic() - begun
    setup.split.sealed.release("the search is over")
    fold = setup.split.sealed.open()
    give_back()
    before = resident(peak=False)
    started = time.monotonic()
    prepared = learn_again(best, fold, setup)
    fit = time.monotonic() - started
    started = time.monotonic()
    rank(prepared.serving, fold.holdout.requests, 10, items=fold.train.items, mask_seen=plan.mask_seen)
    recommend = time.monotonic() - started
    memory = None if memory is None else max(memory, resident(peak=True) - before)
    found = judge(
        prepared.serving, fold, setup.metrics, registry, scenario=plan.scenario, mask_seen=plan.mask_seen
    ).intervals(1)
    spec = registry.spec("models", cell.model)
    stated = (
        spec.memory(registry.config("models", best.configuration), sizes_of(fold, prepared.content))
        if spec.memory
        else None
    )
    return {
        "figures": {name: [figure.value, figure.low, figure.high] for name, figure in found.items()},
        "requests": len(fold.holdout),
        "interactions": len(setup.dataset.user),
        "valid": best.value,
        "epochs": best.best_epoch,
        "search": round(searched, 1),
        "fit": round(fit, 3),
        "recommend": round(recommend, 3),
        "memory": memory,
        "stated": stated,
        "cut": cut,
    }


def tried(
    setup: Setup, folder: Path, deadline: float, fold: Fold | None = None, configuration: Choice | None = None
) -> tuple[TrialResult, bool]:
    """A configuration, or the model's default, as a trial, and whether its time was up before its end.

    It is judged on the validation, or on the holdout of `fold`.
    """
    plan = setup.plan
    if configuration is None:
        ((_, usual),) = defaults(setup.space)
        configuration = read(setup.space, usual)
    trial = TrialPlan(
        number=0,
        root=0,
        folder=str(folder / "trials" / "0"),
        configuration=configuration,
        seed=plan.seed,
        scenario=plan.scenario,
        objective=plan.aim,
        metrics=setup.metrics,
        mask_seen=plan.mask_seen,
        cache=str(folder / "features"),
    )
    result = run_trial(trial, fold or setup.split.search, setup.registry, lambda _: time.monotonic() < deadline)
    return result, not result.history[-1].last


def resident(*, peak: bool) -> int:
    """Bytes of this process, now or at the peak since `peak=False` was last asked for."""
    if not peak:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    wanted = "VmHWM:" if peak else "VmRSS:"
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(wanted))


def recorded() -> dict[str, dict[str, Any]]:
    """The last line of each cell."""
    lines = RECORD.read_text(encoding="utf-8").splitlines() if RECORD.is_file() else []
    entries = [json.loads(line) for line in lines]
    return {entry["key"]: entry for entry in entries}


def run(cell: Cell, settings: argparse.Namespace) -> dict[str, Any]:
    """Run a cell in a process of its own; its line of the record, also where it failed or was cut."""
    facts = json.dumps(asdict(cell))
    command = [sys.executable, __file__, str(settings.data), "--minutes", str(settings.minutes), "--cell", facts]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    line: dict[str, Any] = {"key": cell.key, "minutes": settings.minutes, "cut": True}
    with tempfile.TemporaryDirectory(prefix="zoo-") as scratch:
        try:
            done = subprocess.run(
                command,
                env=environment,
                cwd=scratch,
                timeout=60 * settings.minutes + 60,
                capture_output=True,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return line | {"failed": "its time was up"}
    if done.returncode:
        return line | {"cut": False, "failed": (done.stderr.decode().strip() or "killed").splitlines()[-1][:300]}
    found: dict[str, Any] = json.loads(done.stdout.decode().splitlines()[-1])
    return line | found


def wanted(settings: argparse.Namespace, known: dict[str, dict[str, Any]]) -> list[Cell]:
    """The cells that are not done, and those that were cut with fewer minutes."""
    cells = []
    registry = load_plugins().registry
    for name in settings.logs:
        log = LOGS[name]
        setup = set_up(plan_of(Cell(name, ""), settings.data, settings.minutes), registry)
        for model in setup.space.root.options:
            if log.models and model not in log.models:
                continue
            cells.append(Cell(name, model))
            if name == "ml-100k" and model in STUDIED:
                cells.append(Cell(name, model, TRIALS))
    asked = [cell for cell in cells if not settings.models or cell.model in settings.models]
    return [cell for cell in asked if _is_open(known.get(cell.key), settings.minutes)]


def _is_open(entry: dict[str, Any] | None, minutes: float) -> bool:
    return entry is None or (entry["cut"] and entry["minutes"] < minutes)


def projected(cells: list[Cell], known: dict[str, dict[str, Any]], minutes: float) -> float:
    """Minutes that the cells will take: as long as on the largest log that the model has behind it, or its limit.

    A model takes its time for each interaction; a search takes that of its trials.
    """
    total = 0.0
    for cell in cells:
        done = [
            (entry["interactions"], entry["search"] + entry["fit"])
            for key, entry in known.items()
            if key.rsplit("/", 2)[1:] == [cell.model, "1"] and "interactions" in entry and not entry["cut"]
        ]
        size = INTERACTIONS[LOGS[cell.log].folder]
        guess = max(done)[1] / max(done)[0] * size * cell.trials / 60 if done else minutes
        total += min(guess, minutes)
    return total


def main() -> None:
    """Run what is open, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--logs", nargs="+", choices=LOGS, default=list(LOGS))
    parser.add_argument("--models", nargs="+", default=[])
    parser.add_argument("--minutes", type=float, default=20.0, help="at most, of a model on a log")
    parser.add_argument(
        "--workers", type=int, default=1, help="cells at a time; seconds are then those of a busy machine"
    )
    parser.add_argument("--page-only", action="store_true")
    parser.add_argument("--cell", type=json.loads, help=argparse.SUPPRESS)
    settings = parser.parse_args()
    settings.data = settings.data.absolute()
    if settings.cell:
        with threads_for(1):
            print(json.dumps(measured(Cell(**settings.cell), settings.data, settings.minutes, Path.cwd() / "study")))
        return
    DOCS.mkdir(exist_ok=True)
    known = recorded()
    cells = [] if settings.page_only else wanted(settings, known)
    hours = projected(cells, known, settings.minutes) / 60 / settings.workers
    print(f"{len(cells)} cells to run, about {hours:.1f} hours", flush=True)
    with ThreadPoolExecutor(settings.workers) as pool:
        for cell, line in zip(cells, pool.map(lambda cell: run(cell, settings), cells), strict=True):
            with RECORD.open("a", encoding="utf-8") as record:
                record.write(json.dumps(line) + "\n")
            figures = {name: round(value[0], 4) for name, value in line.get("figures", {}).items()}
            print(cell.key, line.get("failed") or figures, "cut" if line["cut"] else "", flush=True)
    PAGE.write_text(page(recorded()), encoding="utf-8")


if __name__ == "__main__":
    main()
