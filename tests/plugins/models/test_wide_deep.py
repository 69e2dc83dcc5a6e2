"""The wide part of Wide & Deep remembers which items go together; the deep part is a perceptron."""

import numpy as np
import pytest
import torch

from recsmith.contracts.config import Choice
from recsmith.contracts.data import ABSENT, Requests
from recsmith.study.prepare import learn, prepare
from recsmith.testing.logs import fold_of, groups_fold, histories_of
from recsmith.wiring.plugins import load_plugins


@pytest.fixture(scope="module")
def registry():
    return load_plugins(only=["recsmith"]).registry


def wide_alone(model):
    """The model without its deep part."""
    with torch.no_grad():
        model.module.network.perceptron.out.weight.zero_()
    model.module.eval()
    return model


def test_the_wide_part_is_a_linear_model_of_fields_and_crosses(registry):
    """In numpy: first-order weights, and for each recent item j and item i a weight of their own."""
    fold = groups_fold(users=6, items=12, length=2)
    params = {"dim": 8, "crosses": 64, "fields": {"unit": False}}
    model = wide_alone(prepare(Choice(name="wide_deep", params=params), fold, registry, seed=0).model)
    network = model.module.network
    with torch.no_grad():
        network.crosses.ids.weight.normal_(generator=torch.Generator().manual_seed(0))
    bucket = network.buckets.numpy()
    assert len(set(bucket.tolist())) == 12  # more buckets than items: a weight for each pair
    of = {name.removeprefix("network."): value for name, value in model.state().arrays.items()}
    taken = np.flatnonzero(fold.train.counts > 0)
    expected = np.zeros((6, 12), np.float32)
    for user in range(6):
        row = fold.train.histories.of(user)
        crosses = np.mean([of["crosses.ids.weight"][:, bucket[j]] for j in row], axis=0)
        own = of["users.ids.weight"][user, -1] + of["users.recent.weight"][row, -1].mean()
        expected[user] = own + of["items.ids.weight"][:, -1] + crosses
    np.testing.assert_allclose(model.scores(fold.holdout.requests)[:, taken], expected[:, taken], atol=1e-5)


def test_popular_items_have_a_bucket_each(registry):
    rows = [[item] * (80 - item) for item in range(80)]
    fold = fold_of(histories_of(rows), [[0]] * 80, items=80)
    network = prepare(Choice(name="wide_deep", params={"crosses": 64}), fold, registry, seed=0).model.module.network
    assert network.buckets.tolist() == [*range(64), *range(16)]


def test_the_wide_part_remembers_what_goes_together(registry):
    """Items come in couples, 2k and 2k + 1: who took one is offered the other, by the wide part alone."""
    rng = np.random.default_rng(0)
    couples = [rng.permutation(20)[:3] for _ in range(120)]
    fold = fold_of(histories_of([np.concatenate([2 * row, 2 * row + 1]) for row in couples]), [[0]] * 120, items=40)
    training = registry.config("models", Choice(name="wide_deep")).training.model_dump()
    training |= {"epochs": 15, "batch_size": 64, "learning_rate": 0.02, "weight_decay": 1e-3}
    params = {"crosses": 64, "training": training, "deep": {"dropout": 0.6}}
    model = prepare(Choice(name="wide_deep", params=params), fold, registry, seed=0)
    for _ in learn(model, fold.train):
        pass
    requests = Requests(np.full(40, ABSENT, np.int32), histories_of([[item] for item in range(40)]))
    scores = wide_alone(model.model).scores(requests)
    np.fill_diagonal(scores, -np.inf)
    assert (scores.argmax(1) == (np.arange(40) ^ 1)).mean() > 0.95
