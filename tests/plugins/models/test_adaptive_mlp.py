"""The adaptive MLP: its score by hand, where it starts, and that it learns to be adapted."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from recsmith.contracts.config import Choice
from recsmith.contracts.data import ABSENT, Column, Histories, Interactions, Requests
from recsmith.contracts.plugins import RatingScale
from recsmith.study.prepare import build, learn, prepare
from recsmith.testing.logs import fold_of, histories_of
from recsmith.testing.task_logs import task_log
from recsmith.training.loop import epochs
from recsmith.wiring.plugins import load_plugins

REGISTRY = load_plugins(only=("recsmith",)).registry
SPEC = REGISTRY.spec("models", "adaptive_mlp")
COUNTS = np.array([7, 0, 3, 1], np.int64)


def made(ratings=None, **settings):
    config = REGISTRY.config("models", Choice(name="adaptive_mlp", params={"dim": 8, "hidden": 8, **settings}))
    return SPEC.build(config, REGISTRY.context(item_counts=COUNTS, users=5, seed=1, ratings=ratings))


@pytest.mark.parametrize("layers", [0, 1, 2])
def test_the_score_is_that_of_the_network_by_hand(layers):
    model = made(layers=layers, tower={"init_std": 0.3})
    with torch.no_grad():
        for parameter in model.module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(parameter.numel())))
    head = {name: tensor.detach().numpy() for name, tensor in model.head().items()}
    inputs = model.inputs(torch.tensor([2, 0])).detach().numpy()
    given = np.hstack([inputs[:, :-1], np.tile(head["context"], (2, 1))])
    parts, hidden = [given], given
    for layer in range(layers):
        hidden = np.maximum(hidden @ head[f"hidden.{layer}.weight"] + head[f"hidden.{layer}.bias"], 0)
    parts += [hidden] if layers else []
    expected = inputs[:, -1] + np.hstack(parts) @ head["output.weight"] + head["output.bias"]
    found = model.head_score(model.head(), model.inputs(torch.tensor([2, 0])))
    np.testing.assert_allclose(found.detach().numpy(), expected, rtol=1e-4, atol=1e-5)


def test_to_rank_it_starts_from_popularity_and_to_rate_from_the_mean():
    share = np.minimum((COUNTS + 1) / 7, 0.9)
    np.testing.assert_allclose(
        made().inputs(None)[:, -1].detach().numpy(), np.log(share / (1 - share)), rtol=1e-5, atol=1e-6
    )
    rated = made(RatingScale(3.5, 1.0, 5.0))
    np.testing.assert_allclose(rated.inputs(None)[:, -1].detach().numpy(), [3.5] * 4)
    items, values = np.array([0, 0, 2, 3], np.int32), np.array([5.0, 4.0, 1.0, 3.5], np.float32)
    rated.graph(Interactions(Histories(np.array([0, 4]), items, value=values), 1, 4, ordered=True))
    expected = 3.5 + np.array([2.0 / 7, 0.0, -2.5 / 6, 0.0])  # sums of deviations, damped by five ratings at the mean
    np.testing.assert_allclose(rated.inputs(None)[:, -1].detach().numpy(), expected, rtol=1e-6)


def test_it_learns_to_be_adapted_from_five_ratings():
    """Users weigh four hidden features each in their own way: a rule that only the items' vectors can carry."""
    log, shots = task_log("linear", 0), 5
    settings = {
        "dim": 8,
        "tower": {"init_std": 0.3},
        "layers": 0,
        "meta_learner": {"name": "r2d2"},
        "training": {"loss": {"name": "squared_error"}, "batch_size": 32, "learning_rate": 0.02, "epochs": 15},
    }
    config = REGISTRY.config("models", Choice(name="adaptive_mlp", params=settings))
    context = REGISTRY.context(
        item_counts=log.train.counts, users=log.train.users, seed=0, ratings=RatingScale(0.0, -50.0, 50.0)
    )
    model, serving = build(SPEC, config, context)
    for _ in epochs(model, config.training, "tasks", log.train, context):
        pass
    known, rest = log.order[:, :shots], log.order[:, shots:]
    values = np.take_along_axis(log.values, known, axis=1).ravel().astype(np.float32)
    histories = Histories(np.arange(len(known) + 1) * shots, known.ravel().astype(np.int32), value=values)
    scores = serving.scores(Requests(np.full(len(known), ABSENT, np.int32), histories))
    truth = np.take_along_axis(log.values, rest, axis=1)
    wrong = ((np.take_along_axis(scores, rest, axis=1) - truth) ** 2).mean()
    assert wrong < 0.4 * truth.var()


def test_an_item_that_nobody_took_is_known_by_its_columns():
    """Items are of four groups, which users like or dislike: in two ratings of a new user her taste shows."""
    rng = np.random.default_rng(0)
    group, taste = np.arange(40) % 4, rng.choice((1.0, 5.0), (300, 4))
    lists = [rng.permutation(36)[:12] for _ in taste]
    values = [likes[group[row]] for likes, row in zip(taste, lists, strict=True)]
    column = Column("group", "category", np.array([f"group {each}" for each in group], object))
    fold = fold_of(histories_of(lists, values), [[0]] * len(lists), items=40, columns=(column,))
    content = {"encoders": {"group": {"name": "category"}}}
    training = {"epochs": 15, "learning_rate": 0.01, "weight_decay": 0.01, "loss": {"name": "squared_error"}}
    choice = Choice(name="adaptive_mlp", params={"content": content, "training": training})
    prepared = prepare(choice, replace(fold, capabilities=fold.capabilities | {"cold_users"}), REGISTRY, seed=1)
    for _ in learn(prepared, fold.train):
        pass
    told = Requests(np.array([ABSENT], np.int32), histories_of([[0, 1]], [[5.0, 1.0]]))
    new = prepared.serving.scores(told)[0, 36:]
    assert new[0] > new[1] + 2.0
