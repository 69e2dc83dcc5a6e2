"""The personal bridge: its arithmetic by hand, and users who are new to the target domain."""

import numpy as np
import pytest
import torch

from recsmith.contracts.config import Choice
from recsmith.contracts.data import ABSENT, Requests
from recsmith.contracts.training import Batch
from recsmith.evaluation.judge import judge
from recsmith.study.prepare import learn, prepare
from recsmith.testing.logs import domains_fold, histories_of
from recsmith.wiring.plugins import load_plugins

FOLD = domains_fold()
NEW = np.arange(160) % 8 >= 4  # to the target domain
TRAINING = {"epochs": 40, "batch_size": 64, "learning_rate": 0.01, "weight_decay": 0.01}


@pytest.fixture(scope="module")
def registry():
    return load_plugins().registry


@pytest.fixture
def model(registry):
    """With bridges that are not the identity."""
    model = prepare(Choice(name="meta_bridge", params={"dim": 4, "hidden": 3}), FOLD, registry, seed=2).model
    torch.manual_seed(0)
    torch.nn.init.normal_(model.module.bridge[-1].weight)
    torch.nn.init.normal_(model.module.bias)
    return model


def test_scores_are_those_of_the_formula(model):
    module, history = model.module, [3, 7, 24, 9]
    item, user = module.item.weight.detach().double(), module.user.weight.detach().double()[5]
    with torch.no_grad():
        relevance = module.attention(module.item.weight[[3, 7, 9]]).exp().double()
        trait = (relevance * item[[3, 7, 9]]).sum(0) / relevance.sum()
        bridge = module.bridge(trait.float()).double().view(4, 4)
    outside = user + item[[3, 7, 9]].sum(0) / 3**0.5
    inside = outside + bridge @ outside + item[24]
    expected = torch.cat([item[:20] @ outside, item[20:] @ inside]) + module.bias.detach()
    found = model.scores(Requests(np.array([5], np.int32), histories_of([history])))
    np.testing.assert_allclose(found[0], expected, atol=1e-4)


def test_the_item_of_a_pair_is_no_part_of_its_history(model):
    model.graph(FOLD.train)
    model.module.eval()
    history = FOLD.train.histories.take(np.array([2])).item_num
    batch = Batch(user=torch.tensor([2]), positives=torch.tensor([int(history[0])]))
    without = Requests(np.array([2], np.int32), histories_of([history[1:]]))
    np.testing.assert_allclose(model.logits(model.queries(batch), None).detach(), model.scores(without), atol=1e-5)


def test_what_is_liked_elsewhere_is_carried_over_also_for_somebody_new(registry):
    loss = {"name": "bce", "params": {"negatives": 4}}
    choice = Choice(name="meta_bridge", params={"dim": 16, "training": {**TRAINING, "loss": loss}})
    prepared = prepare(choice, FOLD, registry, seed=1)
    for _ in learn(prepared, FOLD.train):
        pass
    judged = judge(prepared.serving, FOLD, ["ndcg@5"], registry, scenario="cross_domain").per_request["ndcg@5"]
    assert judged[NEW].mean() > 0.7
    history = np.flatnonzero((np.arange(40) < 20) & (np.arange(40) % 4 == 1))
    scores = prepared.serving.scores(Requests(np.array([ABSENT], np.int32), histories_of([history])))
    best = 20 + np.argsort(-scores[0, 20:])[:5]
    assert set(best % 4) == {2}  # what those like who like group 1
