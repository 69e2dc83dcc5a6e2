"""What encoding costs a study: trials with frozen encoders beside the same trials with the vectors given.

    python benchmarks/frozen_encoders.py DATA [--trials 20] [--epochs 4]

DATA is ml-1m with plots. Every trial of the first kind reads the plot with none, one or two of four encoders and
encodes it itself; the second kind is the same trial, but the plot's vectors come ready-made in the item table, as
somebody would have them who encoded the catalogue before. Same models, settings and seeds, in turns. The counter of
the feature cache says how often the catalogue was encoded.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from recsmith.contracts.config import Choice
from recsmith.contracts.content import ItemContent
from recsmith.contracts.plan import Columns, DataPlan, Plan
from recsmith.contracts.plugins import RawTables
from recsmith.data.dataset import load_dataset
from recsmith.data.feature_cache import FeatureCache
from recsmith.data.features import encode
from recsmith.data.split import make_split
from recsmith.evaluation.judge import judge
from recsmith.search.threads import threads_for
from recsmith.study.prepare import learn, prepare
from recsmith.wiring.plugins import load_plugins

if TYPE_CHECKING:
    from recsmith.contracts.data import Fold
    from recsmith.wiring.registry import Registry

ENCODERS = ("transformer", "static_embedding", "sentiment", "tfidf")
COMPONENTS = {"components": 128}  # of TF-IDF: dense, as a ready-made vector is


def read(folder: Path, registry: Registry) -> Fold:
    """The fold that trials learn from."""
    interactions = pd.read_csv(folder / "interactions.csv.gz").drop(columns=["rating"])
    items = pd.read_csv(folder / "items.csv.gz")[["item_id", "genres"]]
    items = items.merge(pd.read_csv(folder / "omdb.csv.gz")[["item_id", "plot"]], on="item_id", how="left")
    data = DataPlan(source="<dataframe>", columns=Columns(items={"genres": "categories", "plot": "text"}))
    plan = Plan(data=data, scenario="cold_item")
    return make_split(load_dataset(data, registry, RawTables(interactions, items)), plan, registry).search


def points(trials: int, seed: int) -> list[tuple[str, ...]]:
    """Which encoders read the plot in each trial: none, one or two of them."""
    rng = np.random.default_rng(seed)
    return [tuple(str(name) for name in rng.permutation(ENCODERS)[: rng.integers(0, 3)]) for _ in range(trials)]


def choice(name: str) -> Choice:
    """An encoder of the plot."""
    return Choice(name=name, params=COMPONENTS if name == "tfidf" else {})


def with_plots(fold: Fold) -> Fold:
    """The plot once for each encoder, so that several can read it."""
    plot = next(column for column in fold.items if column.name == "plot")
    others = tuple(column for column in fold.items if column.name != "plot")
    return replace(fold, items=(*others, *(replace(plot, name=name) for name in ENCODERS)))


def run(fold: Fold, encoders: dict[str, Choice], registry: Registry, cache: FeatureCache, epochs: int) -> float:
    """One trial: encode, learn, judge. Its seconds."""
    content = {"encoders": {"genres": Choice(name="categories"), **encoders}}
    training = registry.config("models", Choice(name="two_tower")).training.model_dump()  # type: ignore[attr-defined]
    params: dict[str, Any] = {"content": content, "training": {**training, "epochs": epochs}}
    begun = time.perf_counter()
    prepared = prepare(Choice(name="two_tower", params=params), fold, registry, seed=1, cache=cache)
    for _ in learn(prepared, fold.train):
        judge(prepared.serving, fold, ["ndcg@10"], registry, scenario="cold_item")
    return time.perf_counter() - begun


def ready_made(fold: Fold, registry: Registry) -> Fold:
    """The fold with what the encoders give in place of the plots."""
    encoded = encode(fold, ItemContent(encoders={name: choice(name) for name in ENCODERS}), registry).content
    columns = []
    for column in fold.items:
        if column.name in encoded.features:
            features = encoded.features[column.name]
            dense = features if isinstance(features, np.ndarray) else features.toarray()
            columns.append(replace(column, role="vector", values=dense))
        else:
            columns.append(column)
    return replace(fold, items=tuple(columns))


def main() -> None:
    """Print both times, their ratio and the counter."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--threads", type=int, default=2)
    settings = parser.parse_args()
    registry = load_plugins().registry
    with tempfile.TemporaryDirectory(prefix="frozen-") as scratch, threads_for(settings.threads):
        frozen = with_plots(read(settings.data, registry))
        given = ready_made(frozen, registry)
        caches = [FeatureCache(Path(scratch) / name) for name in ("frozen", "given")]
        totals = [0.0, 0.0]
        for names in points(settings.trials, seed=1):
            totals[0] += run(frozen, {name: choice(name) for name in names}, registry, caches[0], settings.epochs)
            vectors = {name: Choice(name="vector") for name in names}
            totals[1] += run(given, vectors, registry, caches[1], settings.epochs)
        for name in ENCODERS:
            uses = [use for use in caches[0].uses() if use.column == name]
            encoded = [use for use in uses if use.event == "encoded"]
            took = sum(use.seconds for use in encoded)
            print(f"{name}: encoded {len(encoded)} time(s) in {took:.1f} s, read {len(uses) - len(encoded)} times")
        ratio = totals[0] / totals[1]
        seconds = f"{totals[0]:.1f} s encoding, {totals[1]:.1f} s with vectors given"
        print(f"{settings.trials} trials: {seconds}, ratio {ratio:.2f} (aim 1.3)")


if __name__ == "__main__":
    main()
