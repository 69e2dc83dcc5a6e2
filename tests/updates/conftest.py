"""A log over time and small artifacts of its older part."""

import numpy as np
import pandas as pd
import pytest

from recsmith.artifacts.load import load_artifact
from recsmith.artifacts.save import ArtifactFacts, Combination, Member, save_artifact
from recsmith.contracts.config import Choice
from recsmith.contracts.plan import DataPlan
from recsmith.contracts.results import Figure
from recsmith.data.dataset import load_dataset
from recsmith.data.fold import numbered
from recsmith.data.reading import reading_of
from recsmith.study.prepare import learn, prepare
from recsmith.study.refit import member_of
from recsmith.wiring.plugins import load_plugins

FIRST, DAY = 1_600_000_000, 86_400
SHORT = {"training": {"epochs": 3, "batch_size": 64}}


@pytest.fixture(scope="session")
def registry():
    return load_plugins().registry


@pytest.fixture(scope="session")
def frame():
    """70 customers walk a circle of 30 things, a step a day; customer u begins on day u, so the last ones are new."""
    rng = np.random.default_rng(3)
    rows = [
        (f"c{user}", f"t{(start + step) % 30}", FIRST + (user + step) * DAY + user)
        for user, start in enumerate(rng.integers(0, 30, 70))
        for step in range(12)
    ]
    return pd.DataFrame(rows, columns=["customer", "thing", "when"]).sort_values("when", ignore_index=True)


@pytest.fixture(scope="session")
def older(frame):
    """The older part, without the two things that come up later."""
    part = frame[: int(0.7 * len(frame))]
    return part[~part["thing"].isin(["t28", "t29"])]


@pytest.fixture(scope="session")
def newer(frame):
    return frame[int(0.7 * len(frame)) :]


@pytest.fixture(scope="session")
def read(registry):
    """Read a log of customers, things and moments."""
    named = {"user": "customer", "item": "thing", "timestamp": "when"}

    def read(frame, **plan):
        asked = DataPlan.model_validate({"source": "<dataframe>", "columns": named, **plan})
        return load_dataset(asked, registry, frame), asked

    return read


@pytest.fixture(scope="session")
def make(registry, read):
    """Learn a model from a log and save its artifact."""

    def make(folder, frame, name, columns=None, **params):
        dataset, plan = read(frame) if columns is None else read(frame, columns=columns)
        fold = numbered(dataset, np.ones(len(dataset), bool))
        choice = Choice(name=name, params=params)
        prepared = prepare(choice, fold, registry, seed=1)
        for _ in learn(prepared, fold.train):
            pass
        facts = ArtifactFacts(
            study="walk",
            objective="ndcg@10",
            metrics={"ndcg@10": Figure(value=0.5, low=0.4, high=0.6)},
            split="leave_last",
            split_hash="ab" * 32,
            data_fingerprint=dataset.fingerprint,
            reading=reading_of(dataset, plan),
        )
        return save_artifact(folder, [member_of(choice, prepared)], fold, registry, facts=facts)

    return make


@pytest.fixture(scope="session")
def walked(make, older, tmp_path_factory):
    """An artifact of a gradient model."""
    return make(tmp_path_factory.mktemp("walked") / "bpr", older, "bpr_mf", **SHORT)


@pytest.fixture(scope="session")
def linear(make, older, tmp_path_factory):
    """An artifact of a closed form."""
    return make(tmp_path_factory.mktemp("linear") / "ease", older, "ease", l2=10.0)


@pytest.fixture(scope="session")
def joined(walked, linear, registry, older, read, tmp_path_factory):
    """An artifact of two members that a combiner joins."""
    members = []
    for path in (linear, walked):
        recommender = load_artifact(path)
        [configuration] = recommender.manifest.configurations
        members.append(Member(configuration, recommender.ensemble.members[0].model.state()))
    dataset, _ = read(older)
    combination = Combination(combiner=Choice(name="reciprocal_rank_fusion"))
    return save_artifact(
        tmp_path_factory.mktemp("joined") / "both",
        members,
        numbered(dataset, np.ones(len(dataset), bool)),
        registry,
        facts=recommender.manifest.facts,
        combination=combination,
    )
