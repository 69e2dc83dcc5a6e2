from __future__ import annotations

import numpy as np
import pytest

from recsmith.contracts.data import Histories, Interactions
from recsmith.wiring.plugins import load_plugins


@pytest.fixture(scope="session")
def learning():
    """A registry of everything that gradient training is made of."""
    names = [
        *(f"loss.{name}" for name in ("full_softmax", "sampled_softmax", "bce", "gbce", "bpr")),
        *(f"sampler.{name}" for name in ("uniform", "popularity", "mixed")),
        *(f"schedule.{name}" for name in ("constant", "cosine", "one_cycle", "step", "plateau")),
        "model.sasrec",
        "model.bpr_mf",
    ]
    return load_plugins(names).registry


@pytest.fixture(scope="session")
def cycles():
    """60 users who walk round a ring of 12 items from different places, 5 to 30 steps each."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(5, 31, 60)
    indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    walk = np.arange(indptr[-1]) - np.repeat(indptr[:-1], lengths) + np.repeat(rng.integers(0, 12, 60), lengths)
    return Interactions(Histories(indptr, (walk % 12).astype(np.int32)), 60, 12, ordered=True)
