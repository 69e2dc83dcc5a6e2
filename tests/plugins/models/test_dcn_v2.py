"""The cross layers of DCN-v2 are those of the paper, full or of low rank, beside or below the perceptron."""

import numpy as np
import pytest
import torch

from recsmith.contracts.config import Choice
from recsmith.evaluation.judge import judge
from recsmith.study.prepare import learn, prepare
from recsmith.testing.logs import groups_fold
from recsmith.wiring.plugins import load_plugins
from recsmith_plugins.models.dcn_v2 import Cross


@pytest.fixture(scope="module")
def registry():
    return load_plugins(only=["recsmith"]).registry


def test_a_cross_layer_makes_the_product_of_two_chosen_numbers():
    """With W that picks number 2 for number 0, x' holds x0 x2 explicitly; two layers give the third degree."""
    layer = Cross(3, rank=0)
    with torch.no_grad():
        layer.inner.weight.zero_()
        layer.inner.bias.zero_()
        layer.inner.weight[0, 2] = 1.0
    x = torch.tensor([[2.0, 3.0, 5.0]])
    once = layer(x, x)
    assert once.tolist() == [[2.0 * 5.0 + 2.0, 3.0, 5.0]]
    with torch.no_grad():
        layer.inner.weight.zero_()
        layer.inner.weight[1, 0] = 1.0
    assert layer(x, once).tolist() == [[12.0, 3.0 * 12.0 + 3.0, 5.0]]


def test_the_gradient_of_a_cross_layer_is_right():
    torch.manual_seed(0)
    layer = Cross(4, rank=2).double()
    first, x = (torch.randn(3, 4, dtype=torch.float64, requires_grad=True) for _ in range(2))
    assert torch.autograd.gradcheck(layer, (first, x))


@pytest.mark.parametrize("structure", ["parallel", "stacked"])
@pytest.mark.parametrize("rank", [0, 8])
def test_scores_are_those_of_the_papers_equations(registry, structure, rank):
    """In numpy: x' = x0 * (W x + b) + x twice, with W = U V' where it has a rank, and one hidden layer."""
    fold = groups_fold(users=6, items=12, length=2)
    params = {
        "dim": 8,
        "rank": rank,
        "structure": structure,
        "deep": {"layers": 1, "width": 16},
        "fields": {"history": "none", "init_std": 0.3},
    }
    model = prepare(Choice(name="dcn_v2", params=params), fold, registry, seed=0).model
    of = {name.removeprefix("network."): value for name, value in model.state().arrays.items()}
    taken = np.flatnonzero(fold.train.counts > 0)
    users, items = of["users.ids.weight"], of["items.ids.weight"][taken]
    first = np.concatenate([np.repeat(users, len(items), 0), np.tile(items, (len(users), 1))], axis=1)
    x = first
    for layer in ("cross", "crosses.0"):
        if rank:
            crossed = x @ (of[f"{layer}.outer.weight"] @ of[f"{layer}.inner.weight"]).T + of[f"{layer}.outer.bias"]
        else:
            crossed = x @ of[f"{layer}.inner.weight"].T + of[f"{layer}.inner.bias"]
        x = first * crossed + x
    weight = np.concatenate([of["perceptron.user.weight"], of["perceptron.item.weight"]], axis=1)
    below = x if structure == "stacked" else first
    hidden = np.maximum(below @ weight.T + of["perceptron.user.bias"], 0.0)
    expected = hidden @ of["perceptron.out.weight"][0]
    if structure == "parallel":
        expected = expected + x @ of["out.weight"][0]
    scores = model.scores(fold.holdout.requests)[:, taken]
    np.testing.assert_allclose(scores, expected.reshape(6, -1), atol=1e-5)


def test_it_learns_who_likes_what(registry):
    """Groups that only the log tells: the held-out item is among the seven that a user of the group has not seen."""
    fold = groups_fold()
    training = registry.config("models", Choice(name="dcn_v2")).training.model_dump()
    training |= {"epochs": 30, "batch_size": 64, "learning_rate": 0.01}
    prepared = prepare(Choice(name="dcn_v2", params={"training": training}), fold, registry, seed=0)
    done = learn(prepared, fold.train)
    assert any(judge(prepared.serving, fold, ["hit_rate@10"], registry).figures["hit_rate@10"] > 0.9 for _ in done)
