"""A data set in a few dozen numbers: what makes two of them alike, and nothing of anybody in them.

Computed on the training rows that a search sees. Counts are as log10, so that a difference is a factor. A feature that
a log does not have (a span of time without timestamps) is left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from recsmith.contracts.data import ABSENT

if TYPE_CHECKING:
    import numpy.typing as npt

    from recsmith.contracts.data import DoubleArray, Fold, Histories, LongArray

DAY = 86_400  # seconds
HEADS = {"top_1_percent": 0.01, "top_10_percent": 0.1}  # shares of the catalogue, the most popular first


def meta_features(fold: Fold) -> dict[str, float]:
    """Counts, density, inequality, entropies, skew, repetition and time of a fold. Seconds on ten million rows."""
    histories, counts = fold.train.histories, fold.train.counts
    taken, lengths = counts[counts > 0], histories.lengths[histories.lengths > 0]
    size = max(len(histories.item_num), 1)
    pairs = histories.matrix(fold.train.items).nnz
    found = {
        "users": np.log10(max(len(lengths), 1)),
        "items": np.log10(max(len(taken), 1)),
        "interactions": np.log10(size),
        "density": np.log10(max(pairs, 1) / (max(len(lengths), 1) * max(len(taken), 1))),
        "repeats": 1.0 - pairs / size,
        "ordered": float(fold.train.ordered),
        "columns.items": np.log10(1 + len(fold.items)),
        "columns.users": np.log10(1 + len(fold.users)),
        **_targets(fold),
        **_spread("history", lengths),
        **_spread("popularity", taken),
        **{f"popularity.{name}": _head(taken, share) for name, share in HEADS.items()},
        "popularity.once": float((taken == 1).mean()) if len(taken) else 0.0,
        **_values(histories),
        **_time(histories),
    }
    return {name: float(value) for name, value in found.items()}


def gini(counts: LongArray) -> float:
    """Inequality of counts: 0 where all are equal, towards 1 where one has everything."""
    ordered, size = np.sort(counts), len(counts)
    total = float(ordered.sum())
    if not total:
        return 0.0
    return float((2 * np.arange(1, size + 1) - size - 1) @ ordered) / (size * total)


def relative_entropy(counts: npt.NDArray[Any]) -> float:
    """Shannon entropy of the shares over that of equal shares: 1 where all are equal, 0 where one has everything."""
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares @ np.log(shares)) / np.log(len(shares))) if len(shares) > 1 else 0.0


def skewness(values: DoubleArray) -> float:
    """Third standardised moment; 0 of constant values."""
    centred = values - values.mean()
    deviation = float(np.sqrt((centred**2).mean()))
    return float((centred**3).mean()) / deviation**3 if deviation > 1e-12 else 0.0  # noqa: PLR2004 - rounding


def _spread(name: str, counts: LongArray) -> dict[str, float]:
    if not len(counts):
        return {}
    logs = np.log10(counts.astype(np.float64))
    return {
        f"{name}.median": float(np.median(logs)),
        f"{name}.deviation": float(logs.std()),
        f"{name}.skewness": skewness(logs),
        f"{name}.gini": gini(counts),
        f"{name}.entropy": relative_entropy(counts),
    }


def _head(counts: LongArray, share: float) -> float:
    """The share of interactions that fall on the most popular items, one item at least."""
    if not len(counts):
        return 0.0
    first = max(1, round(share * len(counts)))
    return float(np.sort(counts)[::-1][:first].sum() / counts.sum())


def _targets(fold: Fold) -> dict[str, float]:
    """How much is judged, and how much of it training has never seen."""
    targets = fold.holdout.target_item
    if not len(targets):
        return {}
    return {"targets": float(np.log10(len(targets))), "targets.unseen": float((targets == ABSENT).mean())}


def _values(histories: Histories) -> dict[str, float]:
    if histories.value is None or not len(histories.value):
        return {}
    _, counts = np.unique(histories.value, return_counts=True)
    return {"values.distinct": float(np.log10(len(counts))), "values.entropy": relative_entropy(counts)}


def _time(histories: Histories) -> dict[str, float]:
    """The span in days, how much falls into its last tenth, and how often a user's moments coincide."""
    stamps = histories.timestamp
    if stamps is None or len(stamps) < 2:  # noqa: PLR2004 - a span has two ends
        return {}
    first, last = int(stamps.min()), int(stamps.max())
    same = (np.diff(stamps) == 0) & (np.diff(histories.rows) == 0)
    return {
        "time.days": float(np.log10(1 + (last - first) / DAY)),
        "time.last_tenth": float((stamps > last - (last - first) / 10).mean()),
        "time.ties": float(same.mean()),
    }
