"""Update, retrain or leave as it is? Every block of a log is judged before it is learnt from.

    python benchmarks/streaming.py PATH/ml-100k --model ease bpr_mf --blocks 5

Prints NDCG@10 of each policy by block, what an update and learning anew cost, what each loses of what it knew (beside
the policy's own model of the block before, on interactions that both have learnt, where a closer fit of fewer rows
looks better), and the paired difference over all requests of the blocks after the first update, with its 95 % interval.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from recsmith.contracts.config import Choice
from recsmith.contracts.plan import DataPlan
from recsmith.data.dataset import load_dataset
from recsmith.search.threads import threads_for
from recsmith.updates.judgement import Bench
from recsmith.updates.prequential import POLICIES, BlockFigures, differences, prequential
from recsmith.updates.settings import UpdateSettings
from recsmith.wiring.plugins import load_plugins

METRIC = "ndcg@10"


def show(model: str, found: list[BlockFigures], bench: Bench) -> None:
    """One table for each model, and the differences."""
    print(f"\n{model}\n\n| block | requests | " + " | ".join(POLICIES) + " | seconds: update | retrain | ", end="")
    print("gain on old rows: update | retrain |\n" + "|---" * 9 + "|")
    by_place = {(each.block, each.policy): each for each in found}
    for block in sorted({each.block for each in found}):
        row = [by_place[block, policy] for policy in POLICIES]
        cells = [f"{each.figure.value:.4f}" for each in row]
        cells += ["" if each.seconds is None else f"{each.seconds:.1f}" for each in row[1:]]
        cells += [f"{each.forgetting.gain:+.4f}" if each.forgetting else "" for each in row[1:]]
        print(f"| {block} | {len(row[0].evaluation.user_num)} | " + " | ".join(cells) + " |")
    for rival, gain in differences(found, bench).items():
        print(f"\nupdate - {rival}: {gain.gain:+.4f} ({gain.low:+.4f} to {gain.high:+.4f}), {gain.requests} requests")


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", nargs="+", default=["ease", "bpr_mf"])
    parser.add_argument("--blocks", type=int, default=5)
    parser.add_argument("--train-epochs", type=int, default=15, help="of a gradient model that begins anew")
    parser.add_argument("--epochs", type=int, default=UpdateSettings().epochs, help="of an update")
    parser.add_argument("--replay", type=float, default=UpdateSettings().replay)
    parser.add_argument("--rate", type=float, default=UpdateSettings().rate)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    registry = load_plugins().registry
    dataset = load_dataset(DataPlan(source=str(asked.data)), registry)
    settings = UpdateSettings(epochs=asked.epochs, replay=asked.replay, rate=asked.rate, seed=asked.seed)
    bench = Bench(METRIC, (), "next_item", mask_seen=True, registry=registry, seed=asked.seed)
    with threads_for(1):
        for model in asked.model:
            gradient = registry.spec("models", model).training == "gradient"
            params = {"training": {"epochs": asked.train_epochs}} if gradient else {}
            choice = Choice(name=model, params=params)
            show(model, list(prequential(dataset, choice, bench, settings, blocks=asked.blocks)), bench)


if __name__ == "__main__":
    main()
