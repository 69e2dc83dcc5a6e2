"""A model that says it needs more memory than there is never starts, and the sentence says how many bytes."""

from __future__ import annotations

from dataclasses import replace
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from recsmith.contracts.config import Choice, Config
from recsmith.contracts.content import ItemContent
from recsmith.contracts.errors import SpaceError
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plan import DataPlan, Plan
from recsmith.contracts.plugins import ModelSpec, Sizes
from recsmith.study.memory import give_back, memory_here, sizes_of
from recsmith.study.prepare import prepare
from recsmith.study.setup import set_up
from recsmith.testing.conformance.model_ground import item_columns
from recsmith.testing.logs import cycle_fold
from recsmith.wiring.plugins import load_plugins


class Huge:
    """Never fits."""

    def __init__(self):
        raise AssertionError("it must not be built")


class WideConfig(Config):
    """Of a model that would hold a petabyte for each feature."""

    content: ItemContent = ItemContent()


@hookimpl
def provide_models():
    return [
        ModelSpec(
            name="huge",
            api_version=1,
            offers=frozenset({"ranking", "new_users"}),
            build=lambda *_: Huge(),
            training="closed_form",
            memory=lambda _, sizes: 1e15 * sizes.items,
        ),
        ModelSpec(
            name="wide",
            api_version=1,
            config=WideConfig,
            offers=frozenset({"ranking", "new_users"}),
            build=lambda *_: Huge(),
            training="closed_form",
            memory=lambda _, sizes: 1e15 * sizes.features,
        ),
    ]


@pytest.fixture(scope="module")
def registry():
    only = ["model.huge", "model.popularity", "metric.ndcg", "splitter.leave_last", "reader.dataframe"]
    only += ["encoder.category", "fuser.concatenate"]
    return load_plugins(only, points=[EntryPoint("model.huge", __name__, "recsmith")]).registry


def planned(**overrides):
    data = DataPlan(source="<dataframe>")
    return Plan(data=data, overrides=overrides, metrics=("ndcg@10",))


@pytest.fixture
def frame():
    return pd.DataFrame(
        {"user_id": np.repeat(np.arange(9), 4), "item_id": np.arange(36) % 5, "timestamp": np.arange(36)}
    )


def test_the_search_goes_on_without_it(registry, frame):
    space = set_up(planned(), registry, frame=frame).space
    assert list(space.root.options) == ["popularity", "wide"]
    (left,) = (out for out in space.left_out if out.path == "model.huge")
    assert left.reason.startswith("it needs 5,000,000,000,000,000 bytes (5000000.0 GB) for 9 users, 5 items and ")


def test_a_study_of_nothing_else_is_refused_with_the_number_of_bytes(registry, frame):
    with pytest.raises(SpaceError, match=r"huge: it needs 5,000,000,000,000,000 bytes"):
        set_up(planned(model="huge"), registry, frame=frame)


def test_a_configuration_that_does_not_fit_is_not_even_built(registry):
    fold = cycle_fold(users=4, items=6, length=3)
    with pytest.raises(MemoryError, match=r"huge: it needs 6,000,000,000,000,000 bytes .* 4 users, 6 items and 12 "):
        prepare(Choice(name="huge"), fold, registry, seed=1)


def test_a_configuration_whose_columns_are_too_wide_is_refused_once_they_are_encoded(registry):
    fold = replace(cycle_fold(users=4, items=6, length=3), items=item_columns(6))
    wide = Choice(name="wide", params={"content": {"encoders": {"category": {"name": "category"}}}})
    with pytest.raises(MemoryError, match=r"wide: it needs 2,000,000,000,000,000 bytes"):
        prepare(wide, fold, registry, seed=1)


def test_what_a_worker_frees_goes_back_to_the_system():
    """Pieces below the C library's threshold stay in its heap, under one that is still in use."""
    pieces = [np.ones(1 << 17) for _ in range(200)]  # 210 MB
    before = _resident()
    del pieces[:-1]
    give_back()
    assert before - _resident() > 150e6


def _resident():
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS"))


def test_the_memory_of_this_machine_is_what_its_kernel_says():
    total = int(Path("/proc/meminfo").read_text(encoding="ascii").split()[1]) * 1024
    assert 2**28 < memory_here() <= total


def test_sizes_are_those_of_the_training_rows():
    fold = cycle_fold(users=4, items=6, length=3)
    assert sizes_of(fold) == Sizes(4, 6, 12, 3)
