"""NeuMF with identities alone is the network of the paper."""

import numpy as np
import pytest
import torch

from recsmith.contracts.config import Choice
from recsmith.evaluation.judge import judge
from recsmith.study.prepare import learn, prepare
from recsmith.testing.logs import groups_fold
from recsmith.wiring.plugins import load_plugins

IDENTITIES = {"history": "none", "id_dropout": 0.0, "init_std": 0.3}


@pytest.fixture(scope="module")
def registry():
    return load_plugins(only=["recsmith"]).registry


def test_scores_are_those_of_the_papers_equations(registry):
    """Equations 8 to 12 in numpy: h (p * q), layers over two other vectors, and one output over both."""
    fold = groups_fold(users=6, items=12, length=2)
    params = {"dim": 8, "deep_dim": 16, "deep": {"layers": 2, "width": 16}, "fields": IDENTITIES}
    model = prepare(Choice(name="neumf", params=params), fold, registry, seed=0).model
    with torch.no_grad():
        model.module.network.mix.uniform_(-1.0, 1.0)
    of = {name.removeprefix("network."): value for name, value in model.state().arrays.items()}
    taken = np.flatnonzero(fold.train.counts > 0)
    p, q = of["users.ids.weight"], of["items.ids.weight"][taken]
    u, i = of["deep_users.ids.weight"], of["deep_items.ids.weight"][taken]
    z = np.concatenate([np.repeat(u, len(i), 0), np.tile(i, (len(u), 1))], axis=1)
    first = np.concatenate([of["perceptron.user.weight"], of["perceptron.item.weight"]], axis=1)
    z = np.maximum(z @ first.T + of["perceptron.user.bias"], 0.0)
    z = np.maximum(z @ of["perceptron.rest.2.weight"].T + of["perceptron.rest.2.bias"], 0.0)
    factorised = np.repeat(p, len(q), 0) * np.tile(q, (len(p), 1))
    h = np.concatenate([of["mix"], of["perceptron.out.weight"][0]])
    expected = (np.concatenate([factorised, z], axis=1) @ h).reshape(6, -1)
    np.testing.assert_allclose(model.scores(fold.holdout.requests)[:, taken], expected, atol=1e-5)


@pytest.mark.parametrize("fields", [{"history": "none"}, {}])
def test_it_learns_who_likes_what(registry, fields):
    fold = groups_fold()
    training = registry.config("models", Choice(name="neumf")).training.model_dump()
    training |= {"epochs": 30, "batch_size": 64, "learning_rate": 0.01}
    prepared = prepare(Choice(name="neumf", params={"training": training, "fields": fields}), fold, registry, seed=0)
    done = learn(prepared, fold.train)
    assert any(judge(prepared.serving, fold, ["hit_rate@10"], registry).figures["hit_rate@10"] > 0.9 for _ in done)
