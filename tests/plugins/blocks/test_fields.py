"""Fields of users and items: second-order terms, recent items, columns, and a perceptron whose first layer is split."""

import numpy as np
import pytest
import torch
from sklearn.neural_network import MLPRegressor

from recsmith.contracts.content import Content
from recsmith.contracts.data import Histories
from recsmith_plugins.blocks.fields import DeepConfig, Fields, FieldsConfig, Perceptron, Reader, Rows, pairwise
from recsmith_plugins.fusers.attention import AttentionConfig, AttentionFuser
from recsmith_plugins.fusers.concatenate import Concatenate, ConcatenateConfig

TAKEN = np.array([True] * 9 + [False])  # item 9 was taken by nobody


def random(*shape):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(len(shape)))


def test_pairwise_is_the_sum_over_all_pairs():
    vectors = random(5, 4, 3)
    pairs = [(f, g) for f in range(4) for g in range(f + 1, 4)]
    explicit = sum((vectors[:, f] * vectors[:, g]).sum(-1) for f, g in pairs)
    torch.testing.assert_close(pairwise(vectors), explicit)


def test_the_gradient_of_pairwise_is_right():
    assert torch.autograd.gradcheck(pairwise, random(3, 4, 2).requires_grad_())
    assert torch.autograd.gradgradcheck(pairwise, random(3, 4, 2).requires_grad_())


# --- recent items -----------------------------------------------------------------------------------------------------


def read(config, lists, *, ordered=True, without=None):
    """The weight of every item in each list, [B, 10]."""
    indptr = np.concatenate([[0], np.cumsum([len(row) for row in lists])])
    histories = Histories(indptr, np.array([item for row in lists for item in row], np.int32))
    recent = Reader(FieldsConfig(**config), TAKEN, "cpu").read(histories, ordered=ordered, without=without)
    found = np.zeros((len(lists), 10))
    ends = [*recent.starts[1:].tolist(), len(recent.items)]
    for row, (start, end) in enumerate(zip(recent.starts.tolist(), ends, strict=True)):
        np.add.at(found[row], recent.items[start:end].numpy(), recent.weights[start:end].numpy())
    return found


def expected(*rows):
    found = np.zeros((len(rows), 10))
    for at, row in enumerate(rows):
        for item, weight in row.items():
            found[at, item] = weight
    return found


def test_recent_items_weigh_alike_and_nothing_says_nothing():
    found = read({"unit": False}, [[1, 2, 2, 3], [], [9]])
    np.testing.assert_allclose(found, expected({1: 0.25, 2: 0.5, 3: 0.25}, {}, {}))
    found = read({"unit": True}, [[1, 2, 4, 3]])
    np.testing.assert_allclose(found, expected({1: 0.5, 2: 0.5, 4: 0.5, 3: 0.5}))


def test_a_pair_does_not_see_its_own_item():
    found = read({"unit": False}, [[1, 2, 2, 3], [5], [5, 6]], without=np.array([2, 5, 7]))
    np.testing.assert_allclose(found, expected({1: 0.5, 3: 0.5}, {}, {5: 0.5, 6: 0.5}))


def test_older_items_weigh_less_only_where_there_is_an_order():
    config = {"history": "recent", "half_life": 1.0, "unit": False}
    np.testing.assert_allclose(read(config, [[1, 2, 3]]), expected({1: 1 / 7, 2: 2 / 7, 3: 4 / 7}))
    np.testing.assert_allclose(read(config, [[1, 2, 4, 3]], ordered=False), expected(dict.fromkeys([1, 2, 3, 4], 0.25)))


def test_only_the_last_items_are_read():
    found = read({"length": 5, "unit": False}, [[0, 1, 2, 3, 4, 5, 6]])
    np.testing.assert_allclose(found, expected(dict.fromkeys(range(2, 7), 0.2)))


# --- columns ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fuser", "count"), [(Concatenate(ConcatenateConfig()), 3), (AttentionFuser(AttentionConfig()), 2)]
)
def test_every_column_is_a_field_unless_only_a_network_joins_them(fuser, count):
    columns = {"a": np.eye(4, dtype=np.float32), "b": np.ones((4, 2), np.float32), "c": np.zeros((4, 0), np.float32)}
    fields = Fields(FieldsConfig(), 4, Content(4, columns, fuser), 8).eval()
    nobody = torch.zeros(4, 1)
    vectors = fields(Rows(torch.arange(4), nobody, torch.ones(4, 1)))
    assert vectors.shape == (4, count, 8)
    assert fields.count == count
    assert not vectors[:, 0].any()
    assert vectors[:, 1:].abs().sum(-1).all()
    assert not fields(Rows(torch.arange(4), nobody, nobody)).any()


# --- perceptron -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layers", [1, 3])
def test_the_perceptron_is_that_of_scikit_learn_over_both_sides(layers):
    torch.manual_seed(0)
    ours = Perceptron(DeepConfig(layers=layers, width=16, dropout=0.0), users=5, items=3)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(20, 8)).astype(np.float32)
    oracle = MLPRegressor(hidden_layer_sizes=(16,) * layers, activation="relu", solver="sgd")
    oracle.partial_fit(x, rng.normal(size=20).astype(np.float32))
    hidden = [layer for layer in ours.rest if isinstance(layer, torch.nn.Linear)]
    first = torch.cat([ours.user.weight, ours.item.weight], dim=1)
    oracle.coefs_ = [w.detach().numpy().T for w in (first, *(layer.weight for layer in hidden), ours.out.weight)]
    biases = [ours.user.bias, *(layer.bias for layer in hidden)]
    oracle.intercepts_ = [*(bias.detach().numpy() for bias in biases), np.zeros(1, np.float32)]
    split = torch.from_numpy(x[:, :5]), torch.from_numpy(x[:, 5:])
    found = ours(ours.user(split[0]), ours.item(split[1]))
    np.testing.assert_allclose(found.detach().numpy(), oracle.predict(x), atol=1e-5)


def test_a_normalised_perceptron_judges_each_pair_by_itself():
    torch.manual_seed(0)
    perceptron = Perceptron(DeepConfig(norm=True, dropout=0.0), users=5, items=3)
    users, items = perceptron.user(torch.randn(4, 5)), perceptron.item(torch.randn(6, 3))
    together = perceptron(users.unsqueeze(1), items)
    torch.testing.assert_close(together[2, 3], perceptron(users[2], items[3]))
