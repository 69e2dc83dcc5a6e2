"""Are two models different? Both judged on the same requests, compared pair by pair."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from recsmith.contracts.data import DoubleArray

REPLICATES = 2000


@dataclass(frozen=True)
class Comparison:
    """Mean difference a - b with its 95 % interval, and how often chance alone gives one as large."""

    difference: float
    low: float
    high: float
    p_value: float  # two-sided, never 0: the observed signs count as one of the draws
    n: int  # pairs


def paired(a: DoubleArray, b: DoubleArray, seed: int, *, replicates: int = REPLICATES) -> Comparison:
    """Compare two models by one value per user of each, [U] and [U], the same users in the same order.

    The interval is the percentile bootstrap over pairs. The p-value is the sign-flip permutation test: were the models
    equal, every difference might as well have had the other sign. Smucker, Allan and Carterette 2007,
    doi:10.1145/1321440.1321528.

    Raises:
        ValueError: the two have different lengths, or none.
    """
    if a.shape != b.shape or not len(a):
        msg = f"a paired comparison needs the same users on both sides, not {a.shape} and {b.shape}"
        raise ValueError(msg)
    delta = np.asarray(a, np.float64) - np.asarray(b, np.float64)
    n = len(delta)
    rng = np.random.default_rng(seed)
    observed = float(delta.mean())
    means = np.array([delta[rng.integers(0, n, n)].mean() for _ in range(replicates)])
    low, high = np.quantile(means, [0.025, 0.975])
    # The mean after flipping the signs of a random subset: the whole minus twice the subset.
    flipped = np.array([observed - 2 * float(delta[rng.random(n) < 0.5].sum()) / n for _ in range(replicates)])  # noqa: PLR2004
    as_large = np.count_nonzero(np.abs(flipped) >= abs(observed) * (1 - 1e-12) - 1e-15)
    return Comparison(observed, float(low), float(high), (as_large + 1) / (replicates + 1), n)
