"""The order in which models are tried by those who remember nothing yet: RecZilla's results, shipped in a small table.

It holds the figures of models, not of configurations, so it can order the defaults and no more. Where the table comes
from is written in its first lines.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from recsmith.search.portfolio import ranked, regrets

FILE = Path(__file__).with_name("reczilla.csv")


def model_order() -> list[str]:
    """The models of the table, as greedy portfolios over its data sets take them; one that never ended there lost."""
    best: dict[str, dict[str, float]] = {}
    seconds: dict[str, list[float]] = {}
    with FILE.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(line for line in file if not line.startswith("#")):
            best.setdefault(row["data_set"], {})[row["model"]] = float(row["ndcg@10"])
            seconds.setdefault(row["model"], []).append(float(row["seconds"]))
    models = sorted(seconds)
    regret = np.array([regrets([found.get(model) for model in models], maximize=True) for found in best.values()])
    weights = np.full(len(best), 1 / len(best))
    cost = np.array([float(np.median(seconds[model])) for model in models])
    return [models[column] for column in ranked(regret, weights, cost)]
