"""Runs in RecTools' own environment: its SASRec on a log; prints predicted positions and seconds as JSON.

    python rectools_sasrec.py LOG.npz LOSS EPOCHS THREADS SHAPE

LOSS is one of RecTools' names; SHAPE is JSON with width, length, blocks, heads, batch, dropout.
"""

import json
import sys
import time

import numpy as np
import pandas as pd
import torch
from pytorch_lightning import Callback, Trainer
from rectools.dataset import Dataset
from rectools.models import SASRecModel


class Stopwatch(Callback):
    """Seconds and predicted positions (targets that are no padding) of every epoch."""

    def __init__(self):
        self.seconds, self.positions = [], []

    def on_train_epoch_start(self, trainer, module):
        self.positions.append(0)
        self.started = time.perf_counter()

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        self.positions[-1] += int((batch["y"] != 0).sum())

    def on_train_epoch_end(self, trainer, module):
        self.seconds.append(time.perf_counter() - self.started)


def main():
    """Train, the first epoch not counted."""
    log, loss, epochs, threads, shape = (
        sys.argv[1],
        sys.argv[2],
        int(sys.argv[3]),
        int(sys.argv[4]),
        json.loads(sys.argv[5]),
    )
    torch.set_num_threads(threads)
    arrays = np.load(log)
    table = pd.DataFrame(
        {
            "user_id": arrays["user"],
            "item_id": arrays["item"],
            "weight": 1.0,
            "datetime": pd.to_datetime(arrays["timestamp"], unit="s"),
        }
    )
    model = SASRecModel(
        n_blocks=shape["blocks"],
        n_heads=shape["heads"],
        n_factors=shape["width"],
        session_max_len=shape["length"],
        dropout_rate=shape["dropout"],
        loss=loss,
        n_negatives=1,
        batch_size=shape["batch"],
        get_trainer_func=lambda: Trainer(
            max_epochs=epochs,
            min_epochs=epochs,
            accelerator="cpu",
            logger=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            enable_checkpointing=False,
            callbacks=[Stopwatch()],
        ),
    )
    model.fit(Dataset.construct(table))
    watch = model.fit_trainer.callbacks[0]  # RecTools trains a copy
    print(json.dumps({"positions": sum(watch.positions[1:]), "seconds": sum(watch.seconds[1:])}))


if __name__ == "__main__":
    main()
