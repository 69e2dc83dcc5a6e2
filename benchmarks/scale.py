"""Peak memory of each model on a log of 1 million users, 100 thousand items and 20 million interactions.

    OMP_NUM_THREADS=1 python benchmarks/scale.py [--users 1000000] [--items 100000] [--interactions 20000000]
        [--models popularity,item_knn,ials,two_tower,sasrec] [--steps 200]

Each model learns in a process of its own, a closed form to its end, a gradient model the first `--steps` batches of an
epoch at its default settings; gives its state and that of its optimiser, as for a checkpoint; and ranks ten items for
1,000 users, as known users and, where it serves those, as new ones. The peak is the most resident memory of the process
less that before it began: the log, and a small log learnt and ranked first, so that all libraries are in. It stands
beside the bytes that the model states (`ModelSpec.memory`), which it may not pass: else the exit code is 1.

Of all other models it is told whether they are refused, by the sentence with which they are, or would fit.
"""

from __future__ import annotations

import argparse
import gc
import multiprocessing
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from memory import generated, shortened

from recsmith.contracts.config import Choice
from recsmith.contracts.data import ABSENT
from recsmith.inference.ranking import rank
from recsmith.study.memory import give_back, lack_of_memory, memory_here, sizes_of
from recsmith.study.prepare import learn, prepare
from recsmith.wiring.plugins import load_plugins

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection

    from recsmith.contracts.data import Fold
    from recsmith.contracts.plugins import Sizes
    from recsmith.study.prepare import Prepared
    from recsmith.wiring.registry import Registry

MODELS = "popularity,item_knn,ials,two_tower,sasrec"
BEST = 10  # items of a list
SMALL = (100_000, 2_000, 500)  # interactions, users and items of the log that comes first
COLUMNS = ("stated MB", "peak MB", "stated/peak", "learn MB", "keep MB", "rank MB", "learn s", "rank s")


@dataclass
class Measured:
    """What a model took: bytes at the peaks of its stages, and seconds."""

    learning: int = 0
    keeping: int = 0
    ranking: int = 0
    learning_seconds: float = 0.0
    ranking_seconds: float = 0.0

    @property
    def peak(self) -> int:
        """Bytes at most."""
        return max(self.learning, self.keeping, self.ranking)


class Peak:
    """The most resident memory of this process beyond what it has now."""

    def __init__(self) -> None:
        gc.collect()
        give_back()
        self.before = _resident("VmRSS")
        self.next()

    def next(self) -> int:
        """Bytes at most since the last call, or the start."""
        highest = _resident("VmHWM") - self.before
        Path("/proc/self/clear_refs").write_text("5")  # the high-water mark falls to what is resident now
        return highest


def _resident(what: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(what))


def ranked(prepared: Prepared, fold: Fold) -> None:
    """Rank for the held-out users, as known and as new ones."""
    known = fold.holdout.requests
    new = replace(known, user_num=np.full(len(known), ABSENT, np.int32), histories_are_training=False)
    for requests in (known, new) if "new_users" in prepared.spec.offers else (known,):
        rank(prepared.serving, requests, BEST, items=fold.train.items, mask_seen=True)


def measure(choice: Choice, fold: Fold, registry: Registry, steps: int) -> Measured:
    """Learn, keep and rank in this process."""
    found, peak, begun = Measured(), Peak(), time.monotonic()
    with shortened(steps):
        prepared = prepare(choice, fold, registry, seed=1)
        done = list(learn(prepared, fold.train))[-1]
    found.learning, found.learning_seconds = peak.next(), time.monotonic() - begun
    states = prepared.model.state(), done.state()
    del states
    found.keeping = peak.next()
    begun = time.monotonic()
    ranked(prepared, fold)
    found.ranking, found.ranking_seconds = peak.next(), time.monotonic() - begun
    return found


def _measure_apart(answer: Connection, choice: Choice, fold: Fold, registry: Registry, steps: int) -> None:
    measure(choice, generated(*SMALL), registry, steps)
    answer.send(measure(choice, fold, registry, steps))


def measured_apart(choice: Choice, fold: Fold, registry: Registry, steps: int) -> Measured:
    """The same in a process of its own, which shares the log with this one.

    Raises:
        RuntimeError: the process died.
    """
    here, there = multiprocessing.Pipe(duplex=False)
    arguments = (there, choice, fold, registry, steps)
    process = multiprocessing.get_context("fork").Process(target=_measure_apart, args=arguments)
    process.start()
    there.close()
    try:
        found: Measured = here.recv()
    except EOFError as error:
        process.join()
        raise RuntimeError(f"{choice.name}: the process ended with {process.exitcode}") from error
    process.join()
    return found


def configured(name: str, registry: Registry) -> Choice:
    """The model's default settings, but one epoch where it learns by epochs."""
    gradient = registry.spec("models", name).training == "gradient"
    training = registry.config("models", Choice(name=name)).training.model_dump() if gradient else {}  # type: ignore[attr-defined]
    return Choice(name=name, params={"training": training | {"epochs": 1}} if gradient else {})


def stated(choice: Choice, sizes: Sizes, registry: Registry) -> float:
    """Bytes that the model states for these settings; NaN where it says nothing."""
    spec = registry.spec("models", choice.name)
    return spec.memory(registry.config("models", choice), sizes) if spec.memory else float("nan")


def row(name: str, places: tuple[object, ...]) -> str:
    """A line of the table."""
    return f"{name:22}" + "".join(f"{place:>12}" for place in places)


def told(name: str, found: Measured, bytes_stated: float) -> str:
    """The line of a model."""
    sizes = (found.learning, found.keeping, found.ranking)
    seconds = (found.learning_seconds, found.ranking_seconds)
    ratio = f"{bytes_stated / max(found.peak, 1):.2f}"
    megabytes = [f"{size / 1e6:,.0f}" for size in (bytes_stated, found.peak, *sizes)]
    return row(name, (*megabytes[:2], ratio, *megabytes[2:], *(f"{taken:.0f}" for taken in seconds)))


def not_measured(name: str, fold: Fold, registry: Registry) -> str:
    """Whether the model is refused, or would fit."""
    spec: Any = registry.spec("models", name)
    sizes, choice = sizes_of(fold), Choice(name=name)
    missing = ", ".join(sorted(spec.needs - fold.capabilities))
    needs = f"; not in the space of this log, which lacks: {missing}" if missing else ""
    if lack_of_memory(spec, spec.config(), sizes, memory_here()) is None:
        known = "says nothing of its memory" if spec.memory is None else "fits"
        return f"{name}: {known}: at most {stated(choice, sizes, registry):,.0f} bytes{needs}"
    try:
        prepare(choice, fold, registry, seed=1)
    except MemoryError as error:
        return f"refused: {error}{needs}"
    raise RuntimeError(f"{name} should have been refused")


def lines(options: argparse.Namespace) -> Iterator[tuple[str, bool]]:
    """The table, and whether each line is as it should be."""
    registry = load_plugins().registry
    fold = generated(options.interactions, options.users, options.items)
    sizes = sizes_of(fold)
    log = f"{sizes.users:,} users, {sizes.items:,} items, {sizes.interactions:,} interactions"
    steps = f"gradient models {options.steps:,} steps"
    yield f"{log}, the longest history {sizes.longest:,}; {steps}; {memory_here() / 1e9:.1f} GB of memory", True
    yield row("", COLUMNS), True
    chosen = options.models.split(",")
    for name in chosen:
        choice = configured(name, registry)
        promised = stated(choice, sizes, registry)
        found = measured_apart(choice, fold, registry, options.steps)
        yield told(name, found, promised), found.peak <= promised
        if choice.params:
            training = registry.config("models", choice).training  # type: ignore[attr-defined]
            yield f"  batches of {training.batch_size:,}, {training.loss.name} {training.loss.params}", True
    for name in sorted(set(registry.specs["models"]) - set(chosen)):
        yield not_measured(name, fold, registry), True


def main() -> int:
    """Print a line for each model."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--users", type=int, default=1_000_000)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--interactions", type=int, default=20_000_000)
    parser.add_argument("--models", default=MODELS, help="comma-separated")
    parser.add_argument("--steps", type=int, default=200)
    wrong = 0
    for line, right in lines(parser.parse_args()):
        print(line if right else f"{line}  TOO MUCH", flush=True)
        wrong += not right
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
