"""Positions per second of SASRec (D = 64, T = 100, 2 blocks) on a log shaped like MovieLens-100k, or on a folder's log.

    python benchmarks/training.py [--threads 2] [--epochs 3] [--data FOLDER]

FOLDER holds `interactions.csv` or `interactions.csv.gz` with columns user_id, item_id, timestamp.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from recsmith.contracts.config import Choice
from recsmith.contracts.data import Histories, Interactions
from recsmith.training.loop import epochs
from recsmith.wiring.plugins import load_plugins

LOSSES = (
    Choice(name="full_softmax"),
    Choice(name="sampled_softmax", params={"negatives": 256}),
    Choice(name="bce"),
)


def generated(seed: int = 0) -> Interactions:
    """943 users, 1682 items, 100,000 interactions: log-normal history lengths, Zipf-like items."""
    rng = np.random.default_rng(seed)
    length = rng.lognormal(4.2, 1.0, 943).clip(20, 737)
    length = np.maximum(1, np.round(length * 100_000 / length.sum())).astype(np.int64)
    weight = 1.0 / np.arange(20, 20 + 1682)
    item = rng.choice(1682, int(length.sum()), p=weight / weight.sum()).astype(np.int32)
    indptr = np.concatenate([[0], np.cumsum(length)])
    return Interactions(Histories(indptr, item), len(length), 1682, ordered=True)


def read(folder: Path) -> Interactions:
    """All interactions of the folder, sorted stably by user and time."""
    import pandas as pd  # only this form needs it

    path = next(path for path in sorted(folder.iterdir()) if path.name.startswith("interactions.csv"))
    table = pd.read_csv(path).sort_values("timestamp", kind="stable")
    user, item = (pd.factorize(table[column])[0] for column in ("user_id", "item_id"))
    order = np.argsort(user, kind="stable")
    indptr = np.concatenate([[0], np.cumsum(np.bincount(user))])
    return Interactions(Histories(indptr, item[order].astype(np.int32)), len(indptr) - 1, item.max() + 1, ordered=True)


def main() -> None:
    """Print one line for each loss: the median over epochs, the first one left out."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--data", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    interactions = read(options.data) if options.data else generated()
    positions = len(interactions.histories.item_num)
    print(f"{interactions.users} users, {interactions.items} items, {positions} positions, {options.threads} threads")
    registry = load_plugins().registry
    context = registry.context(item_counts=interactions.counts, users=interactions.users)
    for loss in LOSSES:
        params = {"heads": 1, "head_dim": 64, "training": {"loss": loss.model_dump(), "batch_size": 128}}
        choice = Choice(name="sasrec", params=params)
        model: Any = registry.build("models", choice, context)
        config: Any = registry.config("models", choice)
        seconds, started = [], time.perf_counter()
        for _ in epochs(model, config.training, "sequences", interactions, context, total_epochs=options.epochs + 1):
            seconds.append(time.perf_counter() - started)
            started = time.perf_counter()
        print(f"{loss.name:16} {positions / statistics.median(seconds[1:]):9,.0f} positions/s")


if __name__ == "__main__":
    main()
