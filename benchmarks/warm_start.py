"""What a memory of other data sets is worth: 40 configurations once on each of thirteen logs, then look-ups.

    python benchmarks/warm_start.py DATA [--logs filmtrust …] [--limit N] [--page-only]

DATA is a folder with the logs, each in a folder of its own. The configurations are the defaults of every model of cost
"seconds" that needs no content, and three seeded random points of each. A configuration learns on train and is judged
on valid, as a trial of a study is, on one thread; items of few interactions are left aside, so that every model takes
seconds. The six smallest logs are what is asked; by the others it was chosen how, and they are remembered too. What is
done stands in docs/benchmarks/warm_start.jsonl, one line each, and is skipped; at most --limit configurations are run,
and the next call goes on. docs/benchmarks/warm_start.md is made from the whole table.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from warm_start_page import SMALLEST, page

from recsmith.contracts.config import Choice
from recsmith.contracts.plan import DataPlan, Engine, Filter, Plan
from recsmith.evaluation.judge import judge
from recsmith.search.carry import carry
from recsmith.search.suggest import suggest
from recsmith.search.threads import threads_for
from recsmith.study.prepare import learn, prepare
from recsmith.study.recall import features_of
from recsmith.study.setup import Setup, set_up
from recsmith.wiring.plugins import load_plugins

if TYPE_CHECKING:
    from recsmith.wiring.registry import Registry

DOCS = Path(__file__).parents[1] / "docs" / "benchmarks"
RECORD, PAGE = DOCS / "warm_start.jsonl", DOCS / "warm_start.md"
MODELS = ("popularity", "item_knn", "user_knn", "p3alpha", "rp3beta", "slim", "ease", "edlae", "pure_svd", "ials")
POINTS = 4  # of each model: its default and three random ones
SEED = 1
METRIC = "ndcg@10"


@dataclass(frozen=True)
class Log:
    """Where a log is, and how it is read."""

    place: str
    fewest: int = 5  # interactions of an item
    mask_seen: bool = True


PAIR = "amazon-electronic-phone"
LOGS = {
    **{name: Log(name) for name in SMALLEST},
    "phone": Log(f"{PAIR}/interactions_phone.csv.gz", 10),
    "msweb": Log("msweb", 10),
    "electronic": Log(f"{PAIR}/interactions_electronic.csv.gz", 10),
    "foursquare-nyc": Log("foursquare-nyc", 10, mask_seen=False),
    "amazon-beauty": Log("amazon-beauty", 20),
    "citeulike-a": Log("citeulike-a", 20),
    "ml-1m": Log("ml-1m", 50),
}


def plan_of(name: str, data: Path) -> Plan:
    """How a log is read, split and searched."""
    log = LOGS[name]
    return Plan(
        name=name,
        data=DataPlan(source=str(data / log.place), filter=Filter(min_item_interactions=log.fewest)),
        metrics=(METRIC,),
        mask_seen=log.mask_seen,
        space={"model": list(MODELS)},
        engine=Engine(name="inline"),
        seed=SEED,
    )


def configurations(setup: Setup) -> list[Choice]:
    """The defaults, then the random points, model by model; the same whatever the log."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=SEED))
    found = [carry(setup.space, Choice(name=model)).configuration for model in MODELS]
    for _ in range(POINTS - 1):
        for model in MODELS:
            study.enqueue_trial({"model": model})
            found.append(suggest(setup.space, study.ask()))
    return found


def measured(choice: Choice, setup: Setup) -> dict[str, Any]:
    """The figure of a configuration on validation, and what it cost."""
    fold, started = setup.split.search, time.monotonic()
    prepared = prepare(choice, fold, setup.registry, seed=SEED)
    for _ in learn(prepared, fold.train):
        pass
    value = judge(prepared.serving, fold, [METRIC], setup.registry).figures[METRIC]
    return {"value": round(value, 6), "seconds": round(time.monotonic() - started, 2)}


def recorded() -> list[dict[str, Any]]:
    """The lines of the table."""
    lines = RECORD.read_text(encoding="utf-8").splitlines() if RECORD.is_file() else []
    return [json.loads(line) for line in lines]


def write(line: dict[str, Any]) -> None:
    """Add a line to the table."""
    with RECORD.open("a", encoding="utf-8") as record:
        record.write(json.dumps(line) + "\n")


def run(log: str, data: Path, registry: Registry, limit: int) -> int:
    """Measure what is open of a log, `limit` configurations at most; how many were."""
    lines = [line for line in recorded() if line["log"] == log]
    done = {line["number"] for line in lines if "number" in line}
    described = any("meta_features" in line for line in lines)
    if not limit:
        return 0
    open_ = [number for number in range(POINTS * len(MODELS)) if number not in done][:limit]
    if not open_ and described:
        return 0
    setup = set_up(plan_of(log, data), registry)
    choices = configurations(setup)
    if not described:
        write({"log": log, "meta_features": features_of(setup)})
    for number in open_:
        facts = {"log": log, "number": number, "split": setup.split.hash[:16]}
        line = {**facts, "configuration": choices[number].model_dump(), **measured(choices[number], setup)}
        write(line)
        print(log, number, choices[number].name, line["value"], line["seconds"], flush=True)
    return len(open_)


def main() -> None:
    """Run what is open, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--logs", nargs="+", choices=LOGS, default=list(LOGS))
    parser.add_argument("--limit", type=int, default=POINTS * len(MODELS) * len(LOGS), help="configurations at most")
    parser.add_argument("--page-only", action="store_true")
    settings = parser.parse_args()
    DOCS.mkdir(exist_ok=True)
    registry, left = load_plugins().registry, settings.limit
    with threads_for(1):
        for log in () if settings.page_only else settings.logs:
            left -= run(log, settings.data.absolute(), registry, left)
    PAGE.write_text(page(recorded(), MODELS), encoding="utf-8")


if __name__ == "__main__":
    main()
