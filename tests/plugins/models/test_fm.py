"""The factorization machine gives what the explicit sum over all pairs of features gives."""

import numpy as np
import pytest
import torch
from sklearn.preprocessing import PolynomialFeatures

from recsmith.contracts.config import Choice
from recsmith.contracts.data import Column, Requests
from recsmith.evaluation.judge import judge
from recsmith.study.prepare import learn, prepare
from recsmith.testing.logs import fold_of, groups_fold, histories_of
from recsmith.wiring.plugins import load_plugins

USERS, ITEMS, GROUPS = 3, 6, 2


@pytest.fixture(scope="module")
def registry():
    return load_plugins(only=["recsmith"]).registry


def test_scores_are_those_of_explicit_polynomial_features(registry):
    """Feature vectors x as in Rendle's figure 1: user, item, category of the item, recent items at weights of sum 1.

    scikit-learn makes all x_i and x_i x_j; each is weighed by w_i or the product of two features' vectors, as in his
    equation 1, but for pairs within one field.
    """
    groups = np.array([f"g{item % GROUPS}" for item in range(ITEMS)], dtype=object)
    lists = [[0, 1, 2], [3, 4], [5]]
    fold = fold_of(histories_of(lists), [[0]] * 3, items=ITEMS, columns=(Column("category", "category", groups),))
    params = {
        "dim": 8,
        "fields": {"unit": False, "init_std": 0.3},
        "content": {"encoders": {"category": {"name": "category"}}},
    }
    model = prepare(Choice(name="fm", params=params), fold, registry, seed=0).model
    network = model.module.network
    column = network.items.columns[0].columns["c0"]
    category = column.values.numpy() if column.dense else None
    if category is None:
        category = np.zeros((ITEMS, len(column.weight)), np.float32)
        category[np.repeat(np.arange(ITEMS), np.diff(column.indptr)), column.indices] = column.values
    tables = [network.users.ids.weight, network.users.recent.weight, network.items.ids.weight, column.weight]
    table = np.concatenate([part.detach().numpy() for part in tables])
    field = np.repeat(np.arange(4), [len(part) for part in tables])
    x = np.zeros((USERS, ITEMS, len(table)), np.float32)
    for user, row in enumerate(lists):
        x[user, :, user] = 1.0
        x[user, :, USERS + np.array(row)] = 1.0 / len(row)
    x[:, np.arange(ITEMS), USERS + ITEMS + np.arange(ITEMS)] = 1.0
    x[:, :, USERS + 2 * ITEMS :] = category

    polynomial = PolynomialFeatures(degree=2, interaction_only=True, include_bias=False)
    terms = polynomial.fit_transform(x.reshape(USERS * ITEMS, -1))
    members = [np.flatnonzero(powers) for powers in polynomial.powers_]
    weights = [
        table[m[0], -1] if len(m) == 1 else (table[m[0], :-1] @ table[m[1], :-1]) * (field[m[0]] != field[m[1]])
        for m in members
    ]
    expected = (terms @ np.array(weights)).reshape(USERS, ITEMS)
    scores = model.scores(Requests(np.arange(USERS, dtype=np.int32), fold.train.histories))
    np.testing.assert_allclose(scores, expected, atol=1e-5)
    assert np.std(scores) > 0.1


def test_it_learns_who_likes_what(registry):
    """Groups that only the log tells: the held-out item is among the seven that a user of the group has not seen."""
    fold = groups_fold()
    training = registry.config("models", Choice(name="fm")).training.model_dump()
    training |= {"epochs": 30, "batch_size": 64, "learning_rate": 0.01}
    prepared = prepare(Choice(name="fm", params={"training": training}), fold, registry, seed=0)
    done = learn(prepared, fold.train)
    assert any(judge(prepared.serving, fold, ["hit_rate@10"], registry).figures["hit_rate@10"] > 0.9 for _ in done)


def test_the_output_bias_is_the_only_thing_that_all_scores_share(registry):
    fold = groups_fold(users=8, items=12, length=2)
    model = prepare(Choice(name="fm"), fold, registry, seed=0).model
    before = model.scores(fold.holdout.requests)
    with torch.no_grad():
        model.module.bias += 1.5
    np.testing.assert_allclose(model.scores(fold.holdout.requests), before + 1.5, atol=1e-5)
