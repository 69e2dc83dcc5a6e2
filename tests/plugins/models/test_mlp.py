"""The MLP ranker is a plain perceptron over fields side by side."""

import numpy as np
import pytest
import torch
from torch import nn

from recsmith.contracts.config import Choice
from recsmith.contracts.data import ABSENT, Requests
from recsmith.evaluation.judge import judge
from recsmith.study.prepare import learn, prepare
from recsmith.testing.logs import groups_fold, histories_of
from recsmith.wiring.plugins import load_plugins


@pytest.fixture(scope="module")
def registry():
    return load_plugins(only=["recsmith"]).registry


def test_scores_are_those_of_layers_over_all_fields(registry):
    """The same layers in the usual order: user, recent items and item side by side, then one linear map."""
    fold = groups_fold(users=6, items=12, length=2)
    params = {"dim": 8, "deep": {"layers": 2, "width": 16}, "fields": {"unit": False, "init_std": 0.3}}
    model = prepare(Choice(name="mlp", params=params), fold, registry, seed=0).model
    *known, new = np.flatnonzero(fold.train.counts)[:4].tolist()
    network, layers = model.module.network, model.module.network.perceptron
    first = nn.Linear(24, 16)
    with torch.no_grad():
        first.weight.copy_(torch.cat([layers.user.weight, layers.item.weight], dim=1))
        first.bias.copy_(layers.user.bias)
        plain = nn.Sequential(first, nn.ReLU(), layers.rest[2], nn.ReLU(), layers.out)
        recent = torch.stack([network.users.recent.weight[row].mean(0) for row in (known, [new])])
        users = torch.cat([torch.stack([network.users.ids.weight[5], torch.zeros(8)]), recent], dim=1)
        pairs = torch.cat([users.repeat_interleave(12, 0), network.items.ids.weight.repeat(2, 1)], dim=1)
        taken = torch.from_numpy(fold.train.counts > 0)
        expected = plain(pairs).view(2, 12)
    scores = model.scores(Requests(np.array([5, ABSENT], np.int32), histories_of([known, [new]])))
    np.testing.assert_allclose(scores[:, taken], expected[:, taken].numpy(), atol=1e-5)


def test_it_learns_who_likes_what(registry):
    """Groups that only the log tells: the held-out item is among the seven that a user of the group has not seen."""
    fold = groups_fold()
    training = registry.config("models", Choice(name="mlp")).training.model_dump()
    training |= {"epochs": 30, "batch_size": 64, "learning_rate": 0.01}
    prepared = prepare(Choice(name="mlp", params={"training": training}), fold, registry, seed=0)
    done = learn(prepared, fold.train)
    assert any(judge(prepared.serving, fold, ["hit_rate@10"], registry).figures["hit_rate@10"] > 0.9 for _ in done)
