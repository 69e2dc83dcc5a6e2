"""RecTools' SASRec: positions per second, as `benchmarks/peers.py` asks for it. Runs in RecTools' own environment."""

from __future__ import annotations

import json
import sys
import time

import pandas as pd
import torch
from pytorch_lightning import Callback, Trainer
from rectools import Columns
from rectools.dataset import Dataset
from rectools.models import SASRecModel

LOSSES = {"full softmax": "softmax", "one negative": "BCE"}
EPOCHS = 3  # of which the first is not measured


class Clock(Callback):  # type: ignore[misc]
    """Notes wall and CPU seconds of every epoch."""

    def __init__(self) -> None:
        self.wall: list[float] = []
        self.cpu: list[float] = []

    def on_train_epoch_start(self, trainer: Trainer, pl_module: object) -> None:  # noqa: ARG002 - Lightning's signature
        """Note the start of an epoch."""
        self.wall.append(-time.perf_counter())
        self.cpu.append(-time.process_time())

    def on_train_epoch_end(self, trainer: Trainer, pl_module: object) -> None:  # noqa: ARG002 - Lightning's signature
        """Note what the epoch took."""
        self.wall[-1] += time.perf_counter()
        self.cpu[-1] += time.process_time()


def main() -> None:
    """Print one line of JSON: positions of an epoch, wall and CPU seconds of each measured epoch.

    RecTools learns from the last T + 1 interactions of a user only, so an epoch has fewer positions than the log.
    """
    asked = json.loads(sys.argv[1])
    torch.set_num_threads(asked["threads"])
    log = pd.read_csv(asked["log"]).rename(columns={"timestamp": Columns.Datetime})
    log[Columns.Datetime] = pd.to_datetime(log[Columns.Datetime], unit="s")
    log[Columns.Weight] = 1.0
    model = SASRecModel(
        n_factors=asked["width"],
        n_blocks=asked["blocks"],
        n_heads=1,
        session_max_len=asked["length"],
        dropout_rate=asked["dropout"],
        batch_size=asked["batch"],
        loss=LOSSES[asked["loss"]],
        n_negatives=1,
        get_trainer_func=lambda: Trainer(
            max_epochs=EPOCHS,
            accelerator="cpu",
            callbacks=[Clock()],
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        ),
    )
    model.fit(Dataset.construct(log))
    positions = log.groupby(Columns.User).size().sub(1).clip(upper=asked["length"]).sum()
    (clock,) = [callback for callback in model.fit_trainer.callbacks if isinstance(callback, Clock)]  # it was copied
    print(json.dumps({"positions": int(positions), "wall": clock.wall[1:], "cpu": clock.cpu[1:]}))


if __name__ == "__main__":
    main()
