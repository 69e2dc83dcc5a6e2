from __future__ import annotations

import numpy as np
import pytest
import torch

from recsmith.contracts.config import Choice
from recsmith.contracts.data import ABSENT, Histories, Interactions, Requests
from recsmith.training.loop import epochs
from recsmith.wiring.plugins import load_plugins


@pytest.fixture(scope="module")
def trained():
    """BPR-MF on two tastes: 40 users have 6 of items 0 to 9, 40 users have 6 of items 10 to 19."""
    names = ["model.bpr_mf", "loss.bpr", "sampler.uniform", "schedule.constant"]
    registry = load_plugins(names).registry
    rng = np.random.default_rng(0)
    items = np.concatenate([rng.choice(10, 6, replace=False) + 10 * (user >= 40) for user in range(80)])
    log = Interactions(Histories(np.arange(81) * 6, items.astype(np.int32)), 80, 20, ordered=False)
    params = {"dim": 8, "training": {"batch_size": 64, "learning_rate": 1e-2, "loss": {"name": "bpr"}}}
    context = registry.context(item_counts=log.counts, users=80)
    model = registry.build("models", Choice(name="bpr_mf", params=params), context)
    for _ in epochs(model, model.config.training, "pairs", log, context, total_epochs=30):
        pass
    return model, log, registry, context


def test_unseen_items_of_the_own_taste_come_first(trained):
    model, log, _, _ = trained
    scores = model.scores(Requests(np.arange(80, dtype=np.int32), log.histories, histories_are_training=True))
    scores[log.histories.rows, log.histories.item_num] = -np.inf
    assert ((scores.argmax(1) >= 10) == (np.arange(80) >= 40)).all()


def test_an_unknown_user_gets_the_prior_head(trained):
    model, log, _, _ = trained
    request = Requests(np.array([ABSENT, 3], np.int32), log.histories.take(np.array([0, 3])))
    scores = model.scores(request)
    heads = torch.stack([model.head()["output"], model.module.user.weight[3].detach()])
    of_heads = torch.func.vmap(model.head_score, in_dims=(0, None))({"output": heads}, model.inputs(None))
    np.testing.assert_allclose(scores, of_heads.detach().numpy(), atol=1e-6)


def test_logits_of_chosen_items_are_columns_of_all_logits(trained):
    model = trained[0]
    queries = torch.randn(2, 8, generator=torch.Generator().manual_seed(0))
    items = torch.tensor([[1, 2], [19, 3]])
    torch.testing.assert_close(model.logits(queries, items), model.logits(queries, None).gather(1, items))
    torch.testing.assert_close(model.logits(queries, items[0]), model.logits(queries, None)[:, items[0]])


def test_state_gives_bit_equal_scores(trained):
    model, log, registry, context = trained
    other = registry.build("models", Choice(name="bpr_mf", params=model.config.model_dump()), context)
    other.load(model.state())
    request = Requests(np.arange(80, dtype=np.int32), log.histories)
    assert (other.scores(request) == model.scores(request)).all()
