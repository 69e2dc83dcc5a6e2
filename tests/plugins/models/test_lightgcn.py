"""LightGCN against a propagation with dense matrices, written anew here."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from recsmith.contracts.config import Choice
from recsmith.contracts.data import ABSENT, Histories, Interactions, Requests
from recsmith.contracts.plugins import Sizes
from recsmith.contracts.training import Training
from recsmith.training.loop import epochs
from recsmith.wiring.plugins import load_plugins
from recsmith_plugins.models.lightgcn import Lists, Step, graph_of, provide_models

SPEC = provide_models()[0]
USERS, ITEMS = 12, 9
TRAINING = Training(batch_size=64, learning_rate=2e-2, loss=Choice(name="bpr"))


@pytest.fixture(scope="module")
def registry():
    return load_plugins(["loss.bpr", "sampler.uniform", "schedule.constant"]).registry


def rows_of(lists):
    indptr = np.concatenate([[0], np.cumsum([len(row) for row in lists])]).astype(np.int64)
    return Histories(indptr, np.concatenate([np.asarray(row, np.int32) for row in lists]))


@pytest.fixture
def log():
    """Repeats, a user without interactions (0), and an item that nobody took (8)."""
    rng = np.random.default_rng(3)
    lists = [[]] + [rng.integers(0, ITEMS - 1, rng.integers(1, 7)) for _ in range(USERS - 1)]
    return Interactions(rows_of(lists), USERS, ITEMS, ordered=False)


def built(registry, log, **params):
    config = SPEC.config(**{"dim": 8, "training": TRAINING, **params})
    return SPEC.build(config, registry.context(item_counts=log.counts, users=log.users, seed=5))


def oracle(model, log, layers):
    """Layers 0 to L of users and items: powers of the dense normalised adjacency of all nodes."""
    taken = np.zeros((USERS, ITEMS))
    taken[log.histories.rows, log.histories.item_num] = 1.0
    adjacency = np.block([[np.zeros((USERS, USERS)), taken], [taken.T, np.zeros((ITEMS, ITEMS))]])
    degree = adjacency.sum(1)
    scale = np.divide(1.0, np.sqrt(degree), out=np.zeros_like(degree), where=degree > 0)
    normalised = scale[:, None] * adjacency * scale
    first = np.concatenate([model.module.user.weight.detach().numpy(), model.module.item.weight.detach().numpy()])
    nodes = [np.linalg.matrix_power(normalised, power) @ first for power in range(layers + 1)]
    return [node[:USERS] for node in nodes], [node[USERS:] for node in nodes], degree[USERS:]


@pytest.mark.parametrize("layers", [1, 3])
def test_scores_are_those_of_powers_of_the_dense_adjacency(registry, log, layers):
    model = built(registry, log, layers=layers)
    model.graph(log)
    users, items, _ = oracle(model, log, layers)
    found = model.scores(Requests(np.arange(USERS, dtype=np.int32), log.histories, histories_are_training=True))
    np.testing.assert_allclose(found, np.mean(users, 0) @ np.mean(items, 0).T, atol=1e-6)


def test_a_new_user_gets_the_vector_of_a_node_that_changes_no_other(registry, log):
    model = built(registry, log, layers=2)
    model.graph(log)
    users, items, degree = oracle(model, log, 2)
    history = [4, 1, 4]
    layers = [users[0].mean(0)]
    layers += [sum(items[layer][item] / np.sqrt(2 * degree[item]) for item in (1, 4)) for layer in (0, 1)]
    found = model.scores(Requests(np.array([ABSENT, ABSENT], np.int32), rows_of([history, []])))
    np.testing.assert_allclose(found[0], np.mean(layers, 0) @ np.mean(items, 0).T, atol=1e-6)
    np.testing.assert_allclose(found[1], users[0].mean(0) / 3 @ np.mean(items, 0).T, atol=1e-6)


def test_a_step_has_the_gradient_that_finite_differences_tell():
    rows = rows_of([[0, 2], [], [1, 2, 3]])
    graph = graph_of(rows, 4, "cpu")
    users, items = (Lists(part.neighbours, part.bounds, part.weights.double()) for part in (graph.users, graph.items))
    table = torch.randn(4, 3, dtype=torch.double, generator=torch.Generator().manual_seed(0), requires_grad=True)
    assert torch.autograd.gradcheck(lambda given: Step.apply(given, users, items), table)


def test_thinned_edges_are_the_same_in_both_directions_and_the_same_on_average(registry, log):
    graph = graph_of(log.histories, ITEMS, "cpu")

    def dense(lists, width):
        return lists.sums(torch.eye(width))

    torch.manual_seed(1)
    total = torch.zeros(USERS, ITEMS)
    for _ in range(2000):
        users, items = graph.thinned(0.4)
        matrix = dense(users, ITEMS)
        assert torch.equal(matrix, dense(items, USERS).T)
        total += matrix / 2000
    torch.testing.assert_close(total, dense(graph.users, ITEMS), atol=0.05, rtol=0)
    assert graph.thinned(0.0) == (graph.users, graph.items)


@pytest.fixture(scope="module")
def tastes(registry):
    """40 users have 6 of items 0 to 9, 40 have 6 of items 10 to 19, and what was learnt of them."""
    rng = np.random.default_rng(0)
    histories = rows_of([rng.choice(10, 6, replace=False) + 10 * (user >= 40) for user in range(80)])
    log = Interactions(histories, 80, 20, ordered=False)
    model = built(registry, log)
    context = registry.context(item_counts=log.counts, users=80, seed=5)
    for done in epochs(model, TRAINING, "pairs", log, context, total_epochs=15):
        trainer = done
    return model, log, trainer


def test_unseen_items_of_the_own_taste_come_first_for_known_and_new_users(tastes):
    model, log, _ = tastes
    known = Requests(np.arange(80, dtype=np.int32), log.histories, histories_are_training=True)
    new = Requests(np.full(80, ABSENT, np.int32), log.histories)
    for requests in (known, new):
        scores = model.scores(requests)
        scores[log.histories.rows, log.histories.item_num] = -np.inf
        assert ((scores.argmax(1) >= 10) == (np.arange(80) >= 40)).all()


def test_state_serves_without_the_graph_bit_for_bit(tastes, registry):
    model, log, _ = tastes
    other = built(registry, log)
    other.load(model.state())
    assert other.module.graph is None
    requests = Requests(np.array([3, ABSENT], np.int32), log.histories.take(np.array([3, 50])))
    assert (other.scores(requests) == model.scores(requests)).all()
    assert all((array == model.state().arrays[name]).all() for name, array in other.state().arrays.items())


def test_what_was_kept_for_serving_is_dropped_when_the_model_learns_on(registry, log):
    model = built(registry, log)
    context = registry.context(item_counts=log.counts, users=USERS, seed=5)
    requests = Requests(np.arange(USERS, dtype=np.int32), log.histories)
    before = model.scores(requests)
    for _ in epochs(model, TRAINING, "pairs", log, context, total_epochs=2):
        users, items, _ = oracle(model, log, 3)
        after = model.scores(requests)
        np.testing.assert_allclose(after, np.mean(users, 0) @ np.mean(items, 0).T, atol=1e-5)
        assert not np.allclose(before, after)
        before = after


def test_stated_memory_grows_by_more_than_what_is_kept(tastes):
    model, log, trainer = tastes
    kept = [*model.state().arrays.values(), *trainer.state().arrays.values()]
    nodes = log.users + log.items
    nothing = SPEC.memory(model.config, Sizes(0, 0, 0, 0))
    stated = SPEC.memory(model.config, Sizes(log.users, log.items, 0, 6)) - nothing
    assert sum(array.nbytes for array in kept) < stated < 20 * nodes * 8 * 4
