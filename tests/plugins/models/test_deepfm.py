"""DeepFM is the sum of a factorization machine and a perceptron that share their vectors."""

import numpy as np
import pytest
import torch
from torch import nn

from recsmith.contracts.config import Choice
from recsmith.evaluation.judge import judge
from recsmith.study.prepare import learn, prepare
from recsmith.testing.logs import groups_fold
from recsmith.wiring.plugins import load_plugins

SETTINGS = {"dim": 8, "fields": {"unit": False, "init_std": 0.3}, "deep": {"layers": 1, "width": 16}}


@pytest.fixture(scope="module")
def registry():
    return load_plugins(only=["recsmith"]).registry


def test_scores_are_the_sum_of_both_parts(registry):
    """All pairs of user, recent items and item by hand, first-order weights, and plain layers over the three."""
    fold = groups_fold(users=6, items=12, length=2)
    model = prepare(Choice(name="deepfm", params=SETTINGS), fold, registry, seed=0).model
    network, layers = model.module.network, model.module.network.perceptron
    taken = np.flatnonzero(fold.train.counts > 0)
    with torch.no_grad():
        first = nn.Linear(24, 16)
        first.weight.copy_(torch.cat([layers.user.weight, layers.item.weight], dim=1))
        first.bias.copy_(layers.user.bias)
        plain = nn.Sequential(first, nn.ReLU(), layers.out)
        expected = np.zeros((6, len(taken)), np.float32)
        for user in range(6):
            recent = network.users.recent.weight[fold.train.histories.of(user).astype(np.int64)].mean(0)
            for column, item in enumerate(taken):
                u, r, i = network.users.ids.weight[user], recent, network.items.ids.weight[item]
                pairs = u[:8] @ r[:8] + u[:8] @ i[:8] + r[:8] @ i[:8]
                expected[user, column] = u[8] + r[8] + i[8] + pairs + plain(torch.cat([u[:8], r[:8], i[:8]]))
    scores = model.scores(fold.holdout.requests)[:, taken]
    np.testing.assert_allclose(scores, expected, atol=1e-5)


def test_without_its_perceptron_it_is_the_factorization_machine(registry):
    fold = groups_fold(users=6, items=12, length=2)
    deep = prepare(Choice(name="deepfm", params=SETTINGS), fold, registry, seed=0).model
    plain = {name: value for name, value in SETTINGS.items() if name != "deep"}
    machine = prepare(Choice(name="fm", params=plain), fold, registry, seed=1).model
    with torch.no_grad():
        deep.module.network.perceptron.out.weight.zero_()
    state = deep.module.state_dict()
    machine.module.load_state_dict({name: value for name, value in state.items() if "perceptron" not in name})
    requests = fold.holdout.requests
    np.testing.assert_allclose(deep.scores(requests), machine.scores(requests), atol=1e-6)


def test_it_learns_who_likes_what(registry):
    """Groups that only the log tells: the held-out item is among the seven that a user of the group has not seen."""
    fold = groups_fold()
    training = registry.config("models", Choice(name="deepfm")).training.model_dump()
    training |= {"epochs": 30, "batch_size": 64, "learning_rate": 0.01}
    prepared = prepare(Choice(name="deepfm", params={"training": training}), fold, registry, seed=0)
    done = learn(prepared, fold.train)
    assert any(judge(prepared.serving, fold, ["hit_rate@10"], registry).figures["hit_rate@10"] > 0.9 for _ in done)
