"""What holds for every model of the next item that is a causal network: learning, serving, state, memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch

from recsmith.contracts.data import ABSENT, Histories, Interactions, Requests
from recsmith.contracts.plugins import Sizes
from recsmith.training.loop import epochs
from recsmith.wiring.plugins import load_plugins
from recsmith_plugins.blocks.memory import BASE, PIECE
from recsmith_plugins.models import caser, esasrec, gru4rec, sasrec

RING = 20


@dataclass(frozen=True)
class Case:
    """A model's module, and settings that suit a ring of items."""

    module: Any
    config: type
    settings: dict[str, Any]

    @property
    def network(self):
        """Makes the network from settings and the number of items."""
        return getattr(self.module, "network", None) or self.module.Network

    def configured(self, **others):
        training = {"learning_rate": 1e-2, "batch_size": 32, "loss": {"name": "sampled_softmax"}}
        return self.config(**{"training": training, **self.settings, **others})


SMALL = {"max_length": 16, "dropout": 0.0}
CASES = [
    pytest.param(Case(sasrec, sasrec.SASRecConfig, SMALL | {"head_dim": 8, "blocks": 1}), id="sasrec"),
    pytest.param(Case(esasrec, esasrec.ESASRecConfig, SMALL | {"head_dim": 8, "blocks": 1}), id="esasrec"),
    pytest.param(Case(gru4rec, gru4rec.GRU4RecConfig, SMALL | {"dim": 16, "hidden": 24}), id="gru4rec"),
    pytest.param(Case(caser, caser.CaserConfig, SMALL | {"dim": 16, "horizontal": 8}), id="caser"),
]


@pytest.fixture(scope="module")
def registry():
    return load_plugins(["loss.sampled_softmax", "sampler.uniform", "schedule.constant"]).registry


@pytest.fixture(scope="module", params=CASES)
def case(request):
    return request.param


def ring_walks(starts, lengths):
    indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    walk = np.arange(indptr[-1]) - np.repeat(indptr[:-1], lengths) + np.repeat(starts, lengths)
    return Histories(indptr, (walk % RING).astype(np.int32))


def ask(histories):
    return Requests(np.full(len(histories), ABSENT, np.int32), histories)


@pytest.fixture(scope="module")
def walker(case, registry):
    """The model after it has learnt that item + 1 follows every item."""
    rng = np.random.default_rng(0)
    log = Interactions(ring_walks(rng.integers(0, RING, 200), rng.integers(3, 40, 200)), 200, RING, ordered=True)
    context = registry.context(item_counts=log.counts, users=200)
    config = case.configured()
    model = case.module.build(config, context)
    for _ in epochs(model, config.training, "sequences", log, context, total_epochs=12):
        pass
    return model


def test_a_ring_is_learnt_and_new_users_are_served(walker):
    """Histories shorter and longer than the window, of users that training has not seen."""
    starts, lengths = np.arange(RING), np.arange(RING) * 3 + 1
    scores = walker.scores(ask(ring_walks(starts, lengths)))
    assert scores.argmax(1).tolist() == ((starts + lengths) % RING).tolist()


def test_an_empty_history_gets_finite_scores(walker):
    scores = walker.scores(ask(Histories(np.array([0, 0, 2]), np.array([1, 2], np.int32))))
    assert scores.shape == (2, RING)
    assert scores.dtype == np.float32
    assert np.isfinite(scores).all()


def test_scores_do_not_depend_on_who_else_asks(walker):
    histories = ring_walks(np.array([3, 5, 1]), np.array([2, 30, 9]))
    together = walker.scores(ask(histories))
    for row in range(3):
        np.testing.assert_allclose(walker.scores(ask(histories.take(np.array([row]))))[0], together[row], atol=1e-4)


def test_state_gives_bit_equal_scores(case, walker, registry):
    context = registry.context(item_counts=np.ones(RING, np.int64), users=200, seed=9)
    other = case.module.build(case.configured(), context)
    request = ask(ring_walks(np.array([3]), np.array([5])))
    assert (other.scores(request) != walker.scores(request)).any()
    other.load(walker.state())
    assert (other.scores(request) == walker.scores(request)).all()


def test_weights_follow_from_the_seed_alone(case, registry):
    def state(seed):
        context = registry.context(item_counts=np.ones(RING, np.int64), users=5, seed=seed)
        return case.module.build(case.configured(), context).state().arrays

    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    first = state(1)
    assert torch.equal(before, torch.random.get_rng_state())
    torch.manual_seed(6)
    again, other = state(1), state(2)
    assert all(np.array_equal(array, again[name]) for name, array in first.items())
    assert not np.array_equal(first["inputs.weight"], other["inputs.weight"])


@pytest.mark.parametrize("tied", [True, False])
def test_no_position_sees_a_later_input(case, tied):
    torch.manual_seed(0)
    network = case.network(case.configured(tied=tied, init_std=0.2), 30).eval()
    inputs = torch.randint(1, 31, (2, 12))
    changed = inputs.clone()
    changed[:, 7:] = 5
    with torch.inference_mode():
        before, after = network(inputs, None), network(changed, None)
        shorter = network(inputs[:, :7], None)
    torch.testing.assert_close(before[:, :7], after[:, :7])
    torch.testing.assert_close(before[:, :7], shorter)
    assert not torch.allclose(before[:, 7:], after[:, 7:])


@pytest.mark.parametrize("tied", [True, False])
def test_output_vectors_are_one_for_each_item(case, tied, registry):
    context = registry.context(item_counts=np.ones(30, np.int64), users=5)
    model = case.module.build(case.configured(tied=tied), context)
    queries = torch.randn(4, model.module.table().embedding_dim, generator=torch.Generator().manual_seed(0))
    items = torch.tensor([[1, 2], [3, 3], [0, 29], [7, 8]])
    everything = model.logits(queries, None)
    assert everything.shape == (4, 30)
    torch.testing.assert_close(model.logits(queries, items), everything.gather(1, items))
    assert (model.module.table() is model.module.inputs) == tied


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_lower_precision_and_sparse_tables_learn_too(case, registry, precision):
    log = Interactions(ring_walks(np.arange(40) % RING, np.full(40, 12)), 40, RING, ordered=True)
    context = registry.context(item_counts=log.counts, users=40)
    training = {"learning_rate": 1e-2, "batch_size": 16, "precision": precision, "sparse": True}
    config = case.configured(training=training)
    losses = [
        done.loss
        for done in epochs(
            case.module.build(config, context), config.training, "sequences", log, context, total_epochs=8
        )
    ]
    assert losses[-1] < 0.8 * losses[0]


def bytes_kept(network, batch, length):
    """What the forward pass keeps for the backward pass, parameters aside."""
    own = {parameter.untyped_storage().data_ptr() for parameter in network.parameters()}
    kept = {}

    def keep(tensor):
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        hidden = network.train()(torch.randint(0, 31, (batch, length)), None)
    del hidden
    return sum(size for place, size in kept.items() if place not in own)


def test_stated_memory_holds_what_learning_keeps(case):
    """Parameters, gradients, two moments and a checkpoint, and what is kept of a batch from the forward pass.

    What comes and goes in the backward pass is not counted here; it was measured as the process's own peak. Beside all
    that stand what libraries take and the logits that a loss judges at once, which are the same for all models.
    """
    batch, length, items = 256, 60, 500
    training = {"batch_size": batch, "loss": {"name": "sampled_softmax"}}
    config = case.config(max_length=length, training=training)
    torch.manual_seed(0)
    network = case.network(config, items)
    needed = bytes_kept(network, batch, length) + 28 * sum(parameter.numel() for parameter in network.parameters())
    said = case.module.memory(config, Sizes(users=1000, items=items, interactions=80_000, longest=200))
    assert needed + 24 * PIECE < said - BASE < 5 * needed + 24 * PIECE


def test_stated_memory_grows_with_the_catalogue_as_tables_do(case):
    """Where negatives are drawn; a loss that judges the whole catalogue needs its logits besides."""
    sizes = [Sizes(users=10, items=items, interactions=100, longest=50) for items in (500, 10**6, 2 * 10**6)]
    drawn, whole = ({"name": "sampled_softmax", "params": {"negatives": 64}}, {"name": "full_softmax"})
    little, few, many = (case.module.memory(case.configured(training={"loss": drawn}), size) for size in sizes)
    tables = 2 if case.network(case.configured(), 5).outputs else 1
    assert 28e6 * 16 * tables <= many - few < 1.1 * 28e6 * 16 * tables
    assert little < 1.1 * (BASE + 24 * PIECE)
    config = case.configured(training={"loss": whole})
    assert case.module.memory(config, sizes[2]) - case.module.memory(config, sizes[1]) > many - few + 24 * 64 * 0.9e6
