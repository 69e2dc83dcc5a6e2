"""A study over meta-learners, its artifact, and somebody new: two items tell whom they are like."""

import numpy as np
import pandas as pd
import pytest

from recsmith.artifacts.load import load_artifact
from recsmith.artifacts.verify import verify
from recsmith.contracts.plan import Budget, DataPlan, Engine, Plan
from recsmith.study.study import run_study

ITEMS, GROUPS = 40, 2  # item i is of group i % 2


@pytest.fixture(scope="module")
def frame():
    """Users of two groups, ten interactions each, nine of ten with items of their own group."""
    rng = np.random.default_rng(0)
    rows = []
    for user in range(150):
        own = rng.permutation(np.arange(user % GROUPS, ITEMS, GROUPS))[:9]
        other = rng.choice(np.arange((user + 1) % GROUPS, ITEMS, GROUPS), 1)
        for moment, item in enumerate(rng.permutation(np.concatenate([own, other]))):
            rows.append((f"u{user}", f"i{item}", 1_600_000_000 + 1000 * user + moment))
    return pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"])


@pytest.fixture(scope="module")
def study(frame, tmp_path_factory):
    folder = tmp_path_factory.mktemp("new_users") / "study"
    plan = Plan(
        data=DataPlan(source="<dataframe>"),
        scenario="cold_user",
        space={
            "model": ["adaptive_mlp"],
            "model.adaptive_mlp.training.epochs": 25,
            "model.adaptive_mlp.training.batch_size": 16,
            "model.adaptive_mlp.training.learning_rate": 0.02,
            "model.adaptive_mlp.training.weight_decay": 0.01,
        },
        budget=Budget(trials=3),
        engine=Engine(name="inline"),
        seed=1,
    )
    return run_study(plan, folder, frame=frame), folder / "artifact"


def test_trials_search_meta_learner_and_tasks_with_the_model(study):
    result, _ = study
    assert result.counts["complete"] + result.counts["pruned"] == 3
    params = result.best.configuration.params
    assert {"meta_learner", "tasks", "training", "layers"} <= set(params)


@pytest.mark.parametrize("group", [0, 1])
def test_the_artifact_adapts_to_somebody_new_and_stays_as_it_is(study, group):
    _, path = study
    before = {file.name: file.read_bytes() for file in path.rglob("*") if file.is_file()}
    artifact = load_artifact(path)
    history = [f"i{item}" for item in (group, group + 10, group + 20)]
    (answer,) = artifact.recommend([None], [history], k=6)
    groups = [int(item[1:]) % GROUPS for item in answer.items]
    assert groups.count(group) >= 5
    assert answer.source == "adapted"
    assert before == {file.name: file.read_bytes() for file in path.rglob("*") if file.is_file()}


def test_the_artifact_is_whole(study):
    verify(study[1])
