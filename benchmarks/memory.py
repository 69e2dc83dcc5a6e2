"""Private memory of a trial's worker on a log of 20 million interactions, beyond a bare Ray worker with torch.

    python benchmarks/memory.py [--interactions 20000000] [--steps 5]

Whole trials on the real Ray executor, one alone and two at once, for popularity and for SASRec with sampled softmax,
two epochs of `--steps` batches. The same trial on a log of a twentieth of the users, with as many items and histories
as long, tells what grows with the log from what the model, its batches and the libraries take.

Private memory is Private_Clean + Private_Dirty of /proc/PID/smaps_rollup: the arrays that workers share in Ray's object
store are not in it. The driver reads it about 50 times a second, so that peaks are seen also while a worker holds its
interpreter's lock.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import threading
import time
from contextlib import contextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from recsmith.contracts.config import Choice
from recsmith.contracts.plan import Budget, DataPlan, Engine, Plan, TrialPlan
from recsmith.contracts.space import Fixed, Group, OptionNode, SearchSpace
from recsmith.data.coded import Dataset
from recsmith.data.fold import numbered
from recsmith.records.study_record import Asked, StudyRecord
from recsmith.search.asha import Family
from recsmith.search.execute import search
from recsmith.search.ray_session import ray_session
from recsmith.search.searcher import Task
from recsmith.study.worker import run_planned
from recsmith.training.batches import EpochBatches, Pairs, Sequences, UserRows
from recsmith.wiring.plugins import load_plugins

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from recsmith.contracts.data import Fold
    from recsmith.contracts.results import TrialResult
    from recsmith.search.work import Report
    from recsmith.training.batches import Examples

ITEMS, LENGTH, JUDGED = 50_000, 100, 1_000  # LENGTH: mean of the histories
SHORTER = 20  # times, the log beside it
TOGETHER = 60.0  # seconds that a trial waits for its companions before it starts
METRICS = ("ndcg@10", "recall@10", "hit_rate@10", "coverage@10")
STAGES = ("begun", "plugins", "peak")
LOSS = {"name": "sampled_softmax", "params": {"negatives": 256}}
CONFIGURATIONS: dict[str, dict[str, Any]] = {
    "popularity": {},
    "sasrec": {"training": {"epochs": 2, "batch_size": 128, "loss": LOSS}},
}


def generated(interactions: int, users: int, items: int = ITEMS) -> Fold:
    """Log-normal activity of users, Zipf-like items, one interaction a second; the last of some users is held out.

    Every user has one interaction at least, and one more where it is held out.
    """
    rng = np.random.default_rng(0)
    activity = np.cumsum(rng.lognormal(0.0, 1.0, users))
    popularity = np.cumsum(1.0 / np.arange(20, 20 + items))
    user = np.searchsorted(activity, rng.random(interactions) * activity[-1]).astype(np.int32)
    user[:users] = rng.permutation(users)
    item = np.searchsorted(popularity, rng.random(interactions) * popularity[-1]).astype(np.int32)
    dataset = Dataset(
        user=user,
        item=item,
        user_ids=np.array([f"user{number:06}" for number in range(users)], dtype=object),
        item_ids=np.array([f"item{number:06}" for number in range(items)], dtype=object),
        ordered=True,
        timestamp=np.arange(interactions, dtype=np.int64) + 1_500_000_000,
    )
    last = np.zeros(users, np.int64)
    last[user] = np.arange(interactions)
    target = np.zeros(interactions, bool)
    again = np.flatnonzero(last >= users)  # who has two at least
    target[last[rng.choice(again, min(JUDGED, len(again)), replace=False)]] = True
    return numbered(dataset, ~target, target)


def shared_bytes(fold: Fold) -> int:
    """Bytes of the fold's training arrays."""
    histories = fold.train.histories
    return sum(array.nbytes for array in (histories.indptr, histories.item_num, histories.timestamp))


def private_bytes(pid: int | str = "self") -> int:
    """Memory that would be free if the process ended."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    wanted = ("Private_Clean", "Private_Dirty")
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(wanted))


class Watch(threading.Thread):
    """Reads the private memory of every process that has left a file PID.pid in `place`."""

    def __init__(self, place: Path) -> None:
        super().__init__(daemon=True)
        self.place = place
        self.peaks: dict[int, int] = {}
        self.over = threading.Event()

    def run(self) -> None:
        """Read until it is over."""
        while not self.over.wait(0.02):
            for path in self.place.glob("*.pid"):
                pid = int(path.stem)
                try:
                    self.peaks[pid] = max(self.peaks.get(pid, 0), private_bytes(pid))
                except (FileNotFoundError, ProcessLookupError):
                    continue


@contextmanager
def shortened(steps: int) -> Iterator[None]:
    """Inside the block an epoch is its first `steps` batches, where it has so many."""
    kinds: tuple[type[Any], ...] = (Sequences, Pairs, UserRows)
    whole = {kind: kind.epoch for kind in kinds}

    def short(self: Examples, seed: int, number: int) -> EpochBatches:
        epoch: EpochBatches = whole[type(self)](self, seed, number)
        fewer = min(steps, epoch.steps)
        return EpochBatches(fewer, epoch.positives * fewer // epoch.steps, islice(epoch.batches, fewer))

    for kind in kinds:
        kind.epoch = short
    try:
        yield
    finally:
        for kind in kinds:
            kind.epoch = whole[kind]


def watched(plan: TrialPlan, fold: Fold, report: Report, *, place: Path, companions: int, steps: int) -> TrialResult:
    """The real trial in a worker that says where it stands before."""
    begun = private_bytes()
    load_plugins(plan.plugins, plan.without)  # imports every plugin, as run_planned will
    facts = {"pid": os.getpid(), "begun": begun, "plugins": private_bytes()}
    (place / f"{os.getpid()}.pid").touch()
    deadline = time.monotonic() + TOGETHER
    while len(list(place.glob("*.pid"))) < companions and time.monotonic() < deadline:
        time.sleep(0.01)
    with shortened(steps):  # an epoch of the whole log takes half an hour
        result = run_planned(plan, fold, report)
    (place / f"{os.getpid()}.json").write_text(json.dumps(facts))
    return result


def trials(fold: Fold, model: str, companions: int, steps: int) -> list[dict[str, int]]:
    """Run `companions` trials at once, in a Ray of their own; what was seen of each worker, in bytes."""
    fields = {name: Fixed(path=f"model.{model}.{name}", value=value) for name, value in CONFIGURATIONS[model].items()}
    options = {model: Group(path=f"model.{model}", fields=fields)}
    space = SearchSpace(name=model, root=OptionNode(path="model", options=options, default=model))
    with tempfile.TemporaryDirectory() as scratch:
        folder, place = Path(scratch) / "study", Path(scratch) / "seen"
        place.mkdir()

        def make_plan(asked: Asked) -> TrialPlan:
            return TrialPlan(
                number=asked.number,
                root=asked.root,
                folder=str(folder / "trials" / str(asked.root)),
                configuration=Choice(name=model, params=CONFIGURATIONS[model]),
                seed=asked.root,
                scenario="next_item",
                objective="ndcg@10",
                metrics=METRICS,
            )

        run = partial(watched, place=place, companions=companions, steps=steps)
        task = Task("ndcg@10", (Family(model),), make_plan, run, fold)
        watch = Watch(place)
        watch.start()
        plan = Plan(data=DataPlan(source="none"))
        with StudyRecord.open(folder, plan, space, "split", direction="maximize") as record:
            search(record, task, budget=Budget(trials=companions), engine=Engine(max_concurrent=companions))
            failed = [row for row in record.view.rows() if row.state != "complete"]
        watch.over.set()
        watch.join()
        if failed:
            raise RuntimeError(f"{model}: {failed[0]}")
        seen = [json.loads(path.read_text()) for path in sorted(place.glob("*.json"))]
        return [facts | {"peak": watch.peaks[facts["pid"]]} for facts in seen]


def bare_worker() -> int:
    """Private bytes of a Ray worker that has imported torch and nothing of ours."""
    with ray_session(Engine()):
        import ray

        def with_torch() -> int:
            from pathlib import Path  # pickled by value: the worker must not import this module's imports

            import torch

            torch.ones(64, 64) @ torch.ones(64, 64)
            lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
            return sum(
                int(line.split()[1]) * 1024 for line in lines if line.startswith(("Private_Clean", "Private_Dirty"))
            )

        return int(ray.get(ray.remote(with_torch).remote()))


def model_bytes(fold: Fold, model: str) -> int:
    """Bytes of the parameters and of the optimiser's two moments for each; of a closed form, its arrays."""
    registry = load_plugins().registry
    context = registry.context(item_counts=fold.train.counts, users=fold.train.users)
    built = registry.build("models", Choice(name=model, params=CONFIGURATIONS[model]), context)
    module = getattr(built, "module", None)
    if module is None:
        return fold.train.items * 4
    return 3 * sum(parameter.nbytes for parameter in module.parameters())


def row(name: str, places: Sequence[object]) -> str:
    """A line of the table."""
    return f"{name:32}" + "".join(f"{place:>9}" for place in places)


def lines(interactions: int, steps: int) -> Iterator[str]:
    """The table."""
    short, whole = (generated(size, size // LENGTH) for size in (interactions // SHORTER, interactions))
    bare = bare_worker()
    yield f"private MB of a worker beyond a bare Ray worker with torch ({bare / 1e6:.0f} MB)"
    yield row("", ["data", *STAGES, "model"])
    for name in CONFIGURATIONS:
        own = model_bytes(whole, name)
        peaks: list[int] = []
        for fold, together in ((short, 1), (whole, 1), (whole, 2)):
            label = f"{name}, {len(fold.train.histories.item_num) / 1e6:.0f}M, {together} at once"
            for facts in trials(fold, name, together, steps):
                sizes = [shared_bytes(fold), *(facts[stage] - bare for stage in STAGES), own]
                peaks.append(facts["peak"] - bare)
                yield row(label, [round(size / 1e6) for size in sizes])
        more, grown = shared_bytes(whole) - shared_bytes(short), peaks[1] - peaks[0]
        one_more = sum(peaks[2:]) / len(peaks[2:])
        yield (
            f"{name}: one more trial at once adds {one_more / 1e6:.0f} MB; of {more / 1e6:.0f} MB more data a worker "
            f"has {grown / 1e6:.0f} MB more for itself, {grown / more:.2f} of them"
        )
    yield "begun: the trial is handed over; plugins: all imported; model: parameters and optimiser state"


def main() -> None:
    """Print one line per worker, and one sentence per model."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--interactions", type=int, default=20_000_000)
    parser.add_argument("--steps", type=int, default=5)
    options = parser.parse_args()
    for line in lines(options.interactions, options.steps):
        print(line, flush=True)


if __name__ == "__main__":
    main()
