"""What the tests of the data layer share: the registry of readers, splitters and encoders, and small logs."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from recsmith.contracts.plan import DataPlan, Plan
from recsmith.data.dataset import load_dataset
from recsmith.wiring.plugins import installed, load_plugins

KINDS = ("reader.", "splitter.", "encoder.", "fuser.")


@pytest.fixture(scope="session")
def registry():
    names = [point.name for point in installed() if point.name.startswith(KINDS)]
    return load_plugins(only=names).registry


@pytest.fixture
def load(registry):
    def load(frame, **plan):
        return load_dataset(DataPlan(source="<dataframe>", **plan), registry, frame)

    return load


@pytest.fixture
def plan():
    def plan(**settings):
        return Plan(data=DataPlan(source="<dataframe>"), **settings)

    return plan


@pytest.fixture
def frame():
    """30 users with 4 to 9 interactions over 12 items, every moment distinct."""
    rng = np.random.default_rng(7)
    counts = rng.integers(4, 10, 30)
    users = rng.permutation(np.repeat(np.arange(30), counts))
    return pd.DataFrame(
        {
            "user_id": [f"u{user}" for user in users],
            "item_id": [f"i{item}" for item in rng.integers(0, 12, len(users))],
            "rating": rng.integers(1, 6, len(users)).astype(float),
            "timestamp": 1_000_000_000 + rng.permutation(len(users)),
        }
    )


@pytest.fixture(scope="session")
def real_logs():
    """The folder of real logs; tests that need them are skipped where it is absent."""
    default = Path(__file__).parents[2].parent / "shared" / "data"
    folder = Path(os.environ.get("RECSMITH_DATA", default))
    if not folder.is_dir():
        pytest.skip(f"no real logs in {folder}: set RECSMITH_DATA")
    return folder
