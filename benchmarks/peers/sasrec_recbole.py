"""RecBole's SASRec: positions per second, as `benchmarks/peers.py` asks for it. Runs in RecBole's own environment.

RecBole makes one row of every prefix, and each row predicts one position. A whole epoch takes minutes, so a few steps
of its own training loop are timed. Its pairwise loss is BPR, where the others have BCE. A batch has as many rows as the
others' have users: of 128 to 2,048 rows, its own default, this is its quickest.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import torch
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.model.sequential_recommender import SASRec
from recbole.trainer import Trainer

if TYPE_CHECKING:
    from collections.abc import Iterator

STEPS = 16  # in each measured stretch
STRETCHES = 3  # of which the first is not measured
LOSSES = {
    "full softmax": {"loss_type": "CE", "train_neg_sample_args": None},
    "one negative": {"loss_type": "BPR"},
}


class FewSteps:
    """The first batches of a loader, which shuffles anew each time."""

    def __init__(self, loader: Any) -> None:
        self.loader = loader

    def __iter__(self) -> Iterator[Any]:
        return islice(iter(self.loader), STEPS)


def configured(asked: dict[str, Any]) -> Config:
    """RecBole's settings, with the log written as it wants it under the current folder."""
    folder = Path("log")
    folder.mkdir()
    log = pd.read_csv(asked["log"])
    log.columns = ["user_id:token", "item_id:token", "timestamp:float"]
    log.to_csv(folder / "log.inter", sep="\t", index=False)
    settings = {
        "data_path": str(Path.cwd()),
        "load_col": {"inter": ["user_id", "item_id", "timestamp"]},
        "use_gpu": False,
        "show_progress": False,
        "hidden_size": asked["width"],
        "inner_size": asked["width"],
        "n_layers": asked["blocks"],
        "n_heads": 1,
        "hidden_dropout_prob": asked["dropout"],
        "attn_dropout_prob": asked["dropout"],
        "MAX_ITEM_LIST_LENGTH": asked["length"],
        "train_batch_size": asked["batch"],
        "eval_args": {"split": {"LS": "valid_and_test"}, "order": "TO", "group_by": "user", "mode": "full"},
    }
    return Config(model="SASRec", dataset="log", config_dict=settings | LOSSES[asked["loss"]])


def main() -> None:
    """Print one line of JSON: positions of a stretch, wall and CPU seconds of each measured stretch."""
    asked = json.loads(sys.argv[1])
    logging.disable(logging.CRITICAL)
    config = configured(asked)
    train, _, _ = data_preparation(config, create_dataset(config))
    model = SASRec(config, train.dataset)
    trainer = Trainer(config, model)
    torch.set_num_threads(asked["threads"])
    wall, cpu = [], []
    for stretch in range(STRETCHES):
        wall.append(-time.perf_counter())
        cpu.append(-time.process_time())
        trainer._train_epoch(FewSteps(train), stretch)  # noqa: SLF001 - its public `fit` trains whole epochs only
        wall[-1] += time.perf_counter()
        cpu[-1] += time.process_time()
    print(json.dumps({"positions": asked["batch"] * STEPS, "wall": wall[1:], "cpu": cpu[1:]}))


if __name__ == "__main__":
    main()
