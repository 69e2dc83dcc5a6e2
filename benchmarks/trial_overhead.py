"""What a trivial trial costs through our whole path, beside bare Ray Tune and beside this process; one table.

    python benchmarks/trial_overhead.py [TRIALS]

All three run in one session, so the ratio holds also on a loaded machine. Ours includes Optuna's grouped TPE, the
SQLite record and the trial's folder on disk.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from recsmith.contracts.domains import Float
from recsmith.contracts.plan import Budget, DataPlan, Engine, Plan, TrialPlan
from recsmith.contracts.results import EpochReport, TrialResult
from recsmith.contracts.space import Group, OptionNode, Parameter, SearchSpace
from recsmith.records.study_record import Asked, StudyRecord
from recsmith.search.asha import Family
from recsmith.search.execute import search
from recsmith.search.ray_session import ray_session
from recsmith.search.searcher import Task

X = Parameter(path="model.line.x", domain=Float(0.0, 1.0), default=0.5)
SPACE = SearchSpace(
    name="line",
    root=OptionNode(path="model", options={"line": Group(path="model.line", fields={"x": X})}, default="line"),
)


def trivial(plan: TrialPlan, _shared: object, report: Any) -> TrialResult:
    """One epoch that does nothing."""
    value = float(plan.configuration.params["x"])
    report(EpochReport(epoch=1, metrics={"ndcg@10": value}, seconds=0.0, last=True))
    return TrialResult(
        number=plan.number, root=plan.root, state="complete", configuration=plan.configuration, value=value
    )


def ours(folder: Path, engine: str, trials: int) -> float:
    """Seconds for the whole search."""

    def make_plan(asked: Asked) -> TrialPlan:
        return TrialPlan(
            number=asked.number,
            root=asked.root,
            folder=str(folder / "trials" / str(asked.root)),
            configuration=asked.configuration,
            seed=asked.root,
            scenario="next_item",
            objective="ndcg@10",
            metrics=("ndcg@10",),
        )

    task = Task("ndcg@10", (Family("line"),), make_plan, trivial)
    plan = Plan(data=DataPlan(source="none"))
    with StudyRecord.open(folder, plan, SPACE, "split", direction="maximize") as record:
        start = time.perf_counter()
        search(record, task, budget=Budget(trials=trials), engine=Engine.model_validate({"name": engine}))
        return time.perf_counter() - start


def bare(folder: Path, trials: int) -> float:
    """Seconds for as many trials of Ray Tune with random search, reused actors and no loggers."""
    from ray import tune

    def trainable(config: dict[str, float]) -> None:
        tune.report({"value": config["x"]})

    tuner = tune.Tuner(
        trainable,
        param_space={"x": tune.uniform(0.0, 1.0)},
        tune_config=tune.TuneConfig(num_samples=trials, reuse_actors=True),
        run_config=tune.RunConfig(storage_path=str(folder), verbose=0),
    )
    start = time.perf_counter()
    tuner.fit()
    return time.perf_counter() - start


def main(trials: int) -> None:
    """Print seconds per trial and the ratio to bare Ray Tune."""
    with tempfile.TemporaryDirectory() as scratch, ray_session(Engine()):
        base = Path(scratch)
        ours(base / "warm", "ray", 2)
        rows = {
            "bare Ray Tune": bare(base / "bare", trials),
            "recsmith on Ray": ours(base / "ray", "ray", trials),
            "recsmith in this process": ours(base / "inline", "inline", trials),
        }
    print(f"{trials} trivial trials, seconds each")
    for name, seconds in rows.items():
        print(f"{name:26} {seconds / trials:8.3f}   {seconds / rows['bare Ray Tune']:6.2f} x bare")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 30)
