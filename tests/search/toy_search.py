"""A search that takes no time: two models with a known best point, and trials that misbehave on request."""

from __future__ import annotations

import math
import os
import time
from pathlib import Path

from recsmith.contracts.domains import Categorical, Float, Int
from recsmith.contracts.errors import NotFiniteError
from recsmith.contracts.plan import Budget, DataPlan, Engine, Plan, TrialPlan
from recsmith.contracts.results import EpochReport, TrialResult
from recsmith.contracts.space import Fixed, Group, OptionNode, Parameter, SearchSpace
from recsmith.records.study_record import StudyRecord
from recsmith.search.asha import Family
from recsmith.search.execute import search
from recsmith.search.searcher import Listener, Task
from recsmith.search.suggest import derive_seed

EPOCHS = 9
FAMILIES = (Family("net", cost="minutes", epochs=EPOCHS), Family("flat"))


def _parameter(path, domain, default):
    return Parameter(path=path, domain=domain, default=default)


SPACE = SearchSpace(
    name="toy",
    root=OptionNode(
        path="model",
        default="flat",
        options={
            "net": Group(
                path="model.net",
                fields={
                    "rate": _parameter("model.net.rate", Float(1e-4, 1.0, log=True), 1e-2),
                    "units": _parameter("model.net.units", Int(8, 70, step=8), 16),
                    "epochs": Fixed(path="model.net.epochs", value=EPOCHS),
                    "loss": OptionNode(
                        path="model.net.loss",
                        default="hinge",
                        options={
                            "hinge": Group(
                                path="model.net.loss.hinge",
                                fields={"margin": _parameter("model.net.loss.hinge.margin", Float(0.0, 2.0), 3.0)},
                            ),
                            "log": Group(path="model.net.loss.log"),
                        },
                    ),
                    "columns": Group(
                        path="model.net.columns",
                        fields={
                            "title": OptionNode(
                                path="model.net.columns.title",
                                default="none",
                                options={
                                    "none": Group(path="model.net.columns.title.none"),
                                    "words": Group(path="model.net.columns.title.words"),
                                },
                            )
                        },
                    ),
                },
            ),
            "flat": Group(
                path="model.flat",
                fields={
                    "x": _parameter("model.flat.x", Float(0.0, 1.0), 0.9),
                    "kind": _parameter("model.flat.kind", Categorical(("round", "square")), "square"),
                },
            ),
        },
    ),
)


def plan(**changes):
    return Plan(data=DataPlan(source="toy.csv"), objective="ndcg@10", **{"seed": 7, **changes})


def open_record(folder, **changes):
    return StudyRecord.open(folder, plan(**changes), SPACE, "split", direction="maximize", fingerprint="data")


def task(folder, shared=None):
    def make_plan(asked):
        return TrialPlan(
            number=asked.number,
            root=asked.root,
            folder=str(Path(folder).absolute() / "trials" / str(asked.root)),
            configuration=asked.configuration,
            seed=derive_seed(7, asked.root),
            scenario="next_item",
            objective="ndcg@10",
            metrics=("ndcg@10",),
        )

    return Task("ndcg@10", FAMILIES, make_plan, run, shared or {})


def run_search(folder, *, trials=None, seconds=None, engine="inline", shared=None, listener=None, **settings):
    """Open, search, close; what ended it and the view."""
    with open_record(folder) as record:
        budget = Budget(trials=trials, time=seconds)
        ending = search(
            record, task(folder, shared), budget=budget, engine=Engine(name=engine, **settings), listener=listener
        )
        return ending, record.view


def sends(number: int) -> Listener:
    """A listener that sends this process a signal as soon as a trial has spoken: the search is under way by then."""
    unsent = [number]

    def send(*_) -> None:
        if unsent:
            os.kill(os.getpid(), unsent.pop())

    return Listener(epoch_finished=send)


def run(trial: TrialPlan, shared: dict, report) -> TrialResult:
    """`shared`: "pause" seconds an epoch, "trouble" root -> kind, "quality" root -> value that replaces the formula."""
    if (Path(trial.folder) / "result.json").exists():
        raise AssertionError(f"trial {trial.root} has ended and is run again")
    trouble = shared.get("trouble", {}).get(trial.root)
    closed = trial.configuration.name == "flat"
    final = shared.get("quality", {}).get(trial.root, score(trial))
    history = []
    for epoch in range(1, 2 if closed else EPOCHS + 1):
        time.sleep(shared.get("pause", 0.0))
        if trouble is not None:
            misbehave(trouble)
        value = final if closed else final * (1 - math.exp(-epoch))
        epoch_report = EpochReport(
            epoch=epoch, metrics={"ndcg@10": value}, seconds=0.01, last=closed or epoch == EPOCHS
        )
        history.append(epoch_report)
        if not report(epoch_report):
            break
    return TrialResult(
        number=trial.number,
        root=trial.root,
        state="complete",
        configuration=trial.configuration,
        best_epoch=len(history),
        value=history[-1].metrics["ndcg@10"] if trouble != "nan value" else math.nan,
        metrics=history[-1].metrics,
        history=tuple(history),
        seconds=0.01 * len(history),
    )


def score(trial: TrialPlan) -> float:
    """Between 0 and 1; flat is best at x = 0.3, net near a rate of 0.03."""
    params = trial.configuration.params
    if trial.configuration.name == "flat":
        return 0.5 - (params["x"] - 0.3) ** 2
    return 0.9 - 0.1 * abs(math.log10(params["rate"] / 0.03)) - 0.05 * params.get("loss", {})["params"].get("margin", 0)


def misbehave(kind: str) -> None:
    match kind:
        case "raise":
            raise ValueError("a plugin's mistake")
        case "nan":
            raise NotFiniteError("the loss is NaN in epoch 1")
        case "memory":
            raise MemoryError("40 GB")
        case "crash":
            os._exit(3)
        case "hang":
            time.sleep(3600)
