"""Do picture and sound help where items are known? Two towers with and without them on tiktok's published split.

    python benchmarks/multimodal.py DATA/tiktok [--part valid|test] [--seeds 21 22 23 24 25]

A two-tower model's figure moves by .01 from epoch to epoch here: three items hold 7.5 % of the validation's targets. So
nothing is chosen by one epoch: both arms learn for eight epochs with each seed, a request's value is its mean over
epochs 4 to 8 and all seeds, and the arms, and EASE, are compared request by request. The settings were chosen on the
validation part with seeds 11 to 13.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from content import AIM, tiktok

from recsmith.contracts.config import Choice
from recsmith.contracts.plan import Columns, DataPlan
from recsmith.contracts.plugins import RawTables
from recsmith.data.dataset import load_dataset
from recsmith.data.fold import numbered
from recsmith.evaluation.compare import paired
from recsmith.evaluation.judge import judge
from recsmith.study.prepare import learn, prepare
from recsmith.wiring.plugins import load_plugins

if TYPE_CHECKING:
    from collections.abc import Iterator

    from recsmith.contracts.data import DoubleArray, Fold
    from recsmith.wiring.registry import Registry

FROM, EPOCHS = 4, 8
TRAINING = {
    "epochs": EPOCHS,
    "batch_size": 64,
    "learning_rate": 2e-3,
    "loss": {"name": "sampled_softmax", "params": {"negatives": 512, "sampler": {"name": "popularity"}}},
}
VECTORS = {"encoders": {"image": {"name": "vector"}, "audio": {"name": "vector"}}}
CONTENT: dict[str, dict[str, Any]] = {"multimodal": VECTORS, "id-only": {"encoders": {}}}


def two_tower(arm: str) -> Choice:
    """The same settings for both arms but for the content: the mean identity of five lookalikes."""
    tower = {"projection": False, "id_dropout": 0.0, "lookalikes": 5}
    return Choice(name="two_tower", params={"content": CONTENT[arm], "tower": tower, "training": TRAINING})


def judged(choice: Choice, fold: Fold, registry: Registry, seed: int) -> Iterator[DoubleArray]:
    """NDCG@10 of each request after each of the last epochs; of a closed form, once."""
    prepared = prepare(choice, fold, registry, seed=seed)
    for done in learn(prepared, fold.train):
        if prepared.training is None or done.epoch >= FROM:
            yield judge(prepared.serving, fold, [AIM], registry).per_request[AIM]


def values(choice: Choice, fold: Fold, registry: Registry, seeds: list[int]) -> DoubleArray:
    """NDCG@10 of each request, its mean over the last epochs and all seeds."""
    found = [value for seed in seeds for value in judged(choice, fold, registry, seed)]
    print(f"{choice.name}: {np.mean(found):.4f}, from {np.mean(found, 1).min():.4f} to {np.mean(found, 1).max():.4f}")
    mean: DoubleArray = np.mean(found, axis=0)
    return mean


def main() -> None:
    """Print each arm's figure and the two paired differences."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--part", choices=("valid", "test"), default="test")
    parser.add_argument("--seeds", type=int, nargs="+", default=[21, 22, 23, 24, 25])
    settings = parser.parse_args()
    registry = load_plugins().registry
    log = tiktok(settings.data)
    part = log.tables.interactions.split
    tables = RawTables(log.tables.interactions.drop(columns="split"), log.tables.items)
    plan = DataPlan(source="<dataframe>", columns=Columns(items=log.roles))
    frame: Any = tables
    dataset = load_dataset(plan, registry, frame)
    known = (part == "train" if settings.part == "valid" else part != "test").to_numpy()
    fold = numbered(dataset, known, (part == settings.part).to_numpy())
    both = values(two_tower("multimodal"), fold, registry, settings.seeds)
    rivals = {
        "id-only": values(two_tower("id-only"), fold, registry, settings.seeds),
        "ease": values(Choice(name="ease"), fold, registry, [1]),
    }
    for name, rival in rivals.items():
        test = paired(both, rival, 1)
        interval = f"[{test.low:+.4f}, {test.high:+.4f}]"
        print(f"multimodal - {name}: {test.difference:+.4f} {interval}, p = {test.p_value:.4f} ({test.n} requests)")


if __name__ == "__main__":
    main()
