"""Golden numbers: every model, a few epochs on fixed rows, against what it gave before: `make golden`.

    python benchmarks/golden.py [--data DATA] [--write]

Each line of golden.json names a model, a log, the hash of its split and NDCG@10 (or MAE) on validation; a figure that
differs by more than the tolerance, or a split that is another, fails. DATA is a folder with ml-100k; without it only
the generated log is run, and that is said. --write keeps today's figures: do so where a change is meant, and say why.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from recsmith.contracts.config import Choice
from recsmith.contracts.plan import Columns, DataPlan, Engine, Plan
from recsmith.evaluation.judge import judge
from recsmith.search.suggest import defaults, read
from recsmith.search.threads import threads_for
from recsmith.study.prepare import learn, prepare
from recsmith.study.setup import Setup, set_up
from recsmith.testing.demo import demo_log
from recsmith.wiring.plugins import load_plugins

FILE = Path(__file__).with_name("golden.json")
EPOCHS = 2
TOLERANCE = {"closed_form": 1e-4, "gradient": 2e-3}  # of NDCG@10 or MAE: other BLAS libraries round otherwise
METRICS = {"next_item": "ndcg@10", "rating": "mae", "cold_user": "ndcg@10", "cross_domain": "ndcg@10"}
OTHERS = ("cold_user", "cross_domain")  # scenarios of the models that no scenario before them could run
DOMAIN = "category"  # of the generated log's items


def figures(name: str, source: Path, scenario: Any, known: set[str]) -> dict[str, dict[str, Any]]:
    """The figure of every model that can serve the scenario on a log, but for the `known` ones in some scenarios."""
    metric = METRICS[scenario]
    plan = Plan(
        data=DataPlan(source=str(source), columns=Columns(domain=DOMAIN if scenario == "cross_domain" else None)),
        scenario=scenario,
        metrics=(metric,),
        engine=Engine(name="inline"),
        seed=1,
    )
    setup = set_up(plan, load_plugins().registry)
    found = {}
    for model, usual in defaults(setup.space):
        if scenario in OTHERS and model in known:
            continue
        value = judged(setup, quick(read(setup.space, usual), setup), metric)
        kind = setup.registry.spec("models", model).training
        found[f"{name}/{scenario}/{model}"] = {
            "split": setup.split.hash,
            "metric": metric,
            "value": round(value, 6),
            "tolerance": TOLERANCE[kind],
        }
        print(f"{name}/{scenario}/{model}: {value:.6f}", flush=True)
    return found


def quick(choice: Choice, setup: Setup) -> Choice:
    """The same settings with few epochs."""
    if setup.registry.spec("models", choice.name).training == "closed_form":
        return choice
    return Choice(
        name=choice.name, params={**choice.params, "training": choice.params["training"] | {"epochs": EPOCHS}}
    )


def judged(setup: Setup, choice: Choice, metric: str) -> float:
    """The metric on validation after the last epoch."""
    fold = setup.split.search
    prepared = prepare(choice, fold, setup.registry, seed=1)
    for _ in learn(prepared, fold.train):
        pass
    return judge(prepared.serving, fold, [metric], setup.registry, scenario=setup.plan.scenario).figures[metric]


def main() -> int:
    """Run, compare or write; 1 where a figure is another."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="a folder with ml-100k")
    parser.add_argument("--write", action="store_true")
    settings = parser.parse_args()
    found: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory(prefix="golden-") as scratch, threads_for(1):
        logs = {"generated": demo_log(Path(scratch) / "log")}
        if settings.data is not None:
            logs["ml-100k"] = settings.data / "ml-100k"
        else:
            print("without --data: ml-100k is not run")
        for name, source in logs.items():
            for scenario in METRICS if name == "generated" else [each for each in METRICS if each != "cross_domain"]:
                found |= figures(name, source, scenario, {key.rsplit("/", 1)[1] for key in found})
    known = json.loads(FILE.read_text(encoding="utf-8")) if FILE.is_file() else {}
    if settings.write:
        FILE.write_text(json.dumps(dict(sorted((known | found).items())), indent=1) + "\n", encoding="utf-8")
        return 0
    wrong = [line for key, now in found.items() if (line := difference(key, now, known.get(key)))]
    print("\n".join(wrong) or f"{len(found)} figures as before")
    return 1 if wrong else 0


def difference(key: str, now: dict[str, Any], before: dict[str, Any] | None) -> str | None:
    """What is another than it was; None where nothing is."""
    if before is None:
        return f"{key}: it has no golden number; --write keeps {now['value']}"
    if now["split"] != before["split"]:
        return f"{key}: the split is another ({now['split'][:12]}, was {before['split'][:12]})"
    if abs(now["value"] - before["value"]) > before["tolerance"]:
        return f"{key}: {now['value']}, was {before['value']} (tolerance {before['tolerance']})"
    return None


if __name__ == "__main__":
    sys.exit(main())
