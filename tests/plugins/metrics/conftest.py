"""The registered metrics, and random ranked lists with the facts that metrics need."""

import numpy as np
import pytest
from hypothesis import strategies as st

from recsmith.contracts.config import Choice
from recsmith.contracts.data import ABSENT, CatalogueFacts, RankedLists
from recsmith.wiring.plugins import installed, load_plugins


@pytest.fixture(scope="session")
def registry():
    names = [point.name for point in installed() if point.name.startswith("metric.")]
    return load_plugins(only=names).registry


@pytest.fixture(scope="session")
def metric(registry):
    """The working metric of that name."""
    return lambda name: registry.build("metrics", Choice(name=name), registry.context())


@pytest.fixture(scope="session")
def cases():
    """A strategy of (lists, targets): lists shorter than K, several targets, targets outside the catalogue."""
    return ranked_cases()


@st.composite
def ranked_cases(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    users, width = draw(st.integers(1, 6)), draw(st.integers(1, 12))
    catalogue = draw(st.integers(width, 30))
    items = np.full((users, width), ABSENT, np.int32)
    hits = np.zeros((users, width), np.bool_)
    relevant = np.zeros(users, np.int64)
    targets = []
    for user in range(users):
        length = rng.integers(0, width + 1)
        items[user, :length] = rng.permutation(catalogue)[:length]
        inside = rng.permutation(catalogue)[: rng.integers(0, 15)].tolist()
        outside = [f"outside {number}" for number in range(rng.integers(0, 3) if inside else 1)]
        hits[user, :length] = np.isin(items[user, :length], inside)
        relevant[user] = len(inside) + len(outside)
        targets.append([*inside, *outside])
    facts = CatalogueFacts(catalogue, users=50, counts=rng.poisson(3, catalogue).astype(np.int64))
    return RankedLists(items, hits, relevant, facts), targets
