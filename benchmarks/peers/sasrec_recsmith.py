"""Our SASRec's positions per second, as `benchmarks/peers.py` asks for it."""

from __future__ import annotations

import json
import sys
import time

import numpy as np
import torch

from recsmith.contracts.config import Choice
from recsmith.contracts.data import Histories, Interactions
from recsmith.contracts.training import Training
from recsmith.training.loop import epochs
from recsmith.wiring.plugins import load_plugins

LOSSES = {
    "full softmax": Choice(name="full_softmax"),
    "one negative": Choice(name="bce"),
    "sampled softmax, 256": Choice(name="sampled_softmax", params={"negatives": 256}),
}
EPOCHS = 4  # of which the first is not measured


def main() -> None:
    """Print one line of JSON: positions of an epoch, wall and CPU seconds of each measured epoch."""
    asked = json.loads(sys.argv[1])
    torch.set_num_threads(asked["threads"])
    user, item, _ = np.loadtxt(asked["log"], np.int64, delimiter=",", skiprows=1, unpack=True)
    indptr = np.concatenate([[0], np.cumsum(np.bincount(user))])
    histories = Histories(indptr, item.astype(np.int32))
    interactions = Interactions(histories, len(histories), int(item.max()) + 1, ordered=True)
    registry = load_plugins().registry
    context = registry.context(item_counts=interactions.counts, users=interactions.users)
    training = Training(loss=LOSSES[asked["loss"]], batch_size=asked["batch"])
    params = {
        "heads": 1,
        "head_dim": asked["width"],
        "blocks": asked["blocks"],
        "max_length": asked["length"],
        "dropout": asked["dropout"],
        "training": training.model_dump(),
    }
    model = registry.build("models", Choice(name="sasrec", params=params), context)
    wall, cpu = [time.perf_counter()], [time.process_time()]
    for _ in epochs(model, training, "sequences", interactions, context, total_epochs=EPOCHS):
        wall.append(time.perf_counter())
        cpu.append(time.process_time())
    print(json.dumps({"positions": len(item), "wall": np.diff(wall[1:]).tolist(), "cpu": np.diff(cpu[1:]).tolist()}))


if __name__ == "__main__":
    main()
