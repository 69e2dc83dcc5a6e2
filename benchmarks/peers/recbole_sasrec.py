"""Runs in RecBole's own environment: its SASRec on a log; prints predicted positions and seconds as JSON.

    python recbole_sasrec.py LOG.npz LOSS BATCHES THREADS SHAPE

LOSS is CE or BPR. Every prefix of a history is a row that predicts one position. The first batch is not counted, then
`BATCHES` are: an epoch takes minutes. SHAPE is JSON with width, length, blocks, heads, rows, dropout.
"""

import itertools
import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.model.sequential_recommender.sasrec import SASRec
from recbole.trainer import Trainer
from recbole.utils import init_seed


class Some:
    """A few batches of a loader; the clock starts after the first."""

    shuffle = False

    def __init__(self, loader, batches):
        self.loader, self.batches = loader, batches
        self.positions = 0
        self.started = 0.0

    def __iter__(self):
        for number, batch in enumerate(itertools.islice(self.loader, self.batches + 1)):
            if number == 1:
                self.started = time.perf_counter()
            if number:
                self.positions += len(batch)
            yield batch

    def __len__(self):
        return self.batches + 1


def main():
    """Train for a few batches with RecBole's own trainer."""
    log, loss, batches, threads, shape = (
        sys.argv[1],
        sys.argv[2],
        int(sys.argv[3]),
        int(sys.argv[4]),
        json.loads(sys.argv[5]),
    )
    torch.set_num_threads(threads)
    arrays = np.load(log)
    sys.argv = sys.argv[:1]  # RecBole reads the command line too
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "log"
        folder.mkdir()
        rows = np.column_stack([arrays["user"], arrays["item"], arrays["timestamp"]])
        header = "user_id:token\titem_id:token\ttimestamp:float"
        np.savetxt(folder / "log.inter", rows, "%d", "\t", header=header, comments="")
        settings = {
            "data_path": scratch,
            "checkpoint_dir": scratch,
            "load_col": {"inter": ["user_id", "item_id", "timestamp"]},
            "eval_args": {"split": {"LS": "valid_and_test"}, "order": "TO", "mode": "full", "group_by": "user"},
            "train_neg_sample_args": None if loss == "CE" else {"distribution": "uniform", "sample_num": 1},
            "loss_type": loss,
            "MAX_ITEM_LIST_LENGTH": shape["length"],
            "n_layers": shape["blocks"],
            "n_heads": shape["heads"],
            "hidden_size": shape["width"],
            "inner_size": shape["width"],
            "hidden_dropout_prob": shape["dropout"],
            "attn_dropout_prob": shape["dropout"],
            "train_batch_size": shape["rows"],
            "use_gpu": False,
            "show_progress": False,
            "state": "ERROR",
        }
        config = Config(model="SASRec", dataset="log", config_dict=settings)
        init_seed(0, reproducibility=False)
        loader = data_preparation(config, create_dataset(config))[0]
        some = Some(loader, batches)
        torch.set_num_threads(threads)
        trainer = Trainer(config, SASRec(config, loader.dataset))
        trainer._train_epoch(some, 0)  # noqa: SLF001 - the only public way also evaluates and saves
        print(json.dumps({"positions": some.positions, "seconds": time.perf_counter() - some.started}))


if __name__ == "__main__":
    main()
