"""Every meta-learner on generated tasks of the family that is its case, and on tasks without anything to learn.

    OMP_NUM_THREADS=1 python benchmarks/known_tasks.py [--learners maml …] [--seeds 5] [--shots 5]

The adaptive MLP learns over 300 users and is then asked for new ones, of whom five ratings are known. Mean squared
errors on all their other items, beside those of

* scratch: the same network, untrained, fitted to the five ratings by 50 gradient steps at the best of three rates;
* fine-tuning: trained for all users alike, then adapted by gradient steps at the best of three rates.

The differences are paired over users and seeds, with 95 % bootstrap intervals. The last column is on tasks whose
ratings are shuffled within each user: the error as a share of that of the mean predictor (the user's own mean, damped
at best); a model that beats it by more than 2 % would have seen what it must not.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from recsmith.contracts.config import Choice
from recsmith.contracts.data import ABSENT, Histories, Requests
from recsmith.contracts.plugins import RatingScale
from recsmith.study.prepare import build
from recsmith.testing.task_logs import task_log
from recsmith.training.loop import epochs
from recsmith.wiring.plugins import load_plugins

if TYPE_CHECKING:
    from recsmith.contracts.data import DoubleArray
    from recsmith.contracts.models import Model
    from recsmith.testing.task_logs import TaskLog
    from recsmith.wiring.registry import Registry

CASES = {
    "maml": "waves",
    "fomaml": "waves",
    "reptile": "waves",
    "anil": "linear",
    "r2d2": "linear",
    "meta_sgd": "one_direction",
    "meta_dropout": "noisy",
    "averaging": "noisy",
    "gradient_weighted": "outliers",
    "policy_gradient": "noisy",
    "cnp": "tastes",
    "prototypes": "tastes",
}
RATES = (0.02, 0.1, 0.3)
EPOCHS = 60
TRAINING = {"loss": {"name": "squared_error"}, "batch_size": 32, "learning_rate": 0.01, "weight_decay": 1e-4}


def learnt(log: TaskLog, learner: str, registry: Registry, seed: int, **params: Any) -> Model:
    """The adaptive MLP with this meta-learner, after its epochs; untrained where `epochs` is 0."""
    count = params.pop("epochs", EPOCHS)
    settings = {
        "dim": 8,
        "tower": {"init_std": 0.3},
        "training": {**TRAINING, "epochs": max(count, 1)},
        "meta_learner": {"name": learner, "params": params},
        "tasks": {"support": 10, "query": 16},
    }
    config = registry.config("models", Choice(name="adaptive_mlp", params=settings))
    context = registry.context(
        item_counts=log.train.counts, users=log.train.users, seed=seed, ratings=RatingScale(0.0, -50.0, 50.0)
    )
    model, serving = build(registry.spec("models", "adaptive_mlp"), config, context)
    if count:
        for _ in epochs(model, config.training, "tasks", log.train, context):  # type: ignore[attr-defined]
            pass
    return serving


def errors(model: Model, log: TaskLog, shots: int) -> DoubleArray:
    """The mean squared error of each new user, over all items but those of the support."""
    known, rest = log.order[:, :shots], log.order[:, shots:]
    users = len(known)
    values = np.take_along_axis(log.values, known, axis=1).ravel().astype(np.float32)
    histories = Histories(np.arange(users + 1) * shots, known.ravel().astype(np.int32), value=values)
    scores = model.scores(Requests(np.full(users, ABSENT, np.int32), histories))
    wrong = np.take_along_axis(scores, rest, axis=1) - np.take_along_axis(log.values, rest, axis=1)
    return np.asarray((wrong**2).mean(axis=1), np.float64)


def mean_errors(log: TaskLog, shots: int) -> DoubleArray:
    """Those of the user's damped mean, with the damping that is best for them all."""
    known = np.take_along_axis(log.values, log.order[:, :shots], axis=1)
    rest = np.take_along_axis(log.values, log.order[:, shots:], axis=1)
    common = float(log.train.histories.value.mean())  # type: ignore[union-attr]
    tried = []
    for damping in (0.0, 1.0, 3.0, 10.0, 30.0, 1e9):
        mean = common + (known - common).sum(axis=1) / (shots + damping)
        tried.append(((rest - mean[:, None]) ** 2).mean(axis=1))
    return np.asarray(min(tried, key=np.mean), np.float64)


def best(found: list[DoubleArray]) -> DoubleArray:
    """The errors of the setting with the least mean: chosen on the very figures, in favour of the baseline."""
    return min(found, key=np.mean)


def interval(differences: DoubleArray, seed: int = 0) -> tuple[float, float]:
    """95 % of the bootstrap means."""
    rng = np.random.default_rng(seed)
    means = differences[rng.integers(len(differences), size=(2000, len(differences)))].mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def compared(learner: str, seeds: int, shots: int, registry: Registry) -> dict[str, Any]:
    """All figures of one meta-learner."""
    rows: dict[str, list[DoubleArray]] = {name: [] for name in ("learner", "scratch", "fine", "nothing", "mean")}
    for seed in range(seeds):
        log = task_log(CASES[learner], seed)
        rows["learner"].append(errors(learnt(log, learner, registry, seed), log, shots))
        tuned = [errors(learnt(log, "fine_tune", registry, seed, steps=5, rate=rate), log, shots) for rate in RATES]
        fresh = [
            errors(learnt(log, "fine_tune", registry, seed, steps=20, rate=rate, epochs=0), log, shots)
            for rate in RATES
        ]
        rows["fine"].append(best(tuned))
        rows["scratch"].append(best(fresh))
        shuffled = task_log(CASES[learner], seed, permuted=True)
        rows["nothing"].append(errors(learnt(shuffled, learner, registry, seed), shuffled, shots))
        rows["mean"].append(mean_errors(shuffled, shots))
    found = {name: np.concatenate(parts) for name, parts in rows.items()}
    return {
        **{name: float(values.mean()) for name, values in found.items()},
        "over_scratch": interval(found["scratch"] - found["learner"]),
        "over_fine": interval(found["fine"] - found["learner"]),
        "share_of_mean": float(found["nothing"].mean() / found["mean"].mean()),
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--learners", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--shots", type=int, default=5)
    settings = parser.parse_args()
    torch.set_num_threads(1)
    registry = load_plugins().registry
    print("| meta-learner | tasks | error | scratch - it | fine-tuning - it | shuffled, share of the mean's |")
    print("|---|---|---|---|---|---|")
    for learner in settings.learners:
        found = compared(learner, settings.seeds, settings.shots, registry)
        gains = [
            f"{found[name] - found['learner']:+.3f} ({low:+.3f} to {high:+.3f})"
            for name, (low, high) in (("scratch", found["over_scratch"]), ("fine", found["over_fine"]))
        ]
        print(
            f"| `{learner}` | {CASES[learner]} | {found['learner']:.3f} | {' | '.join(gains)} | "
            f"{found['share_of_mean']:.3f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
