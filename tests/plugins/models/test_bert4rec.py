from __future__ import annotations

import importlib.metadata
import itertools

import numpy as np
import pytest
import torch

from recsmith.contracts.config import Choice
from recsmith.contracts.data import ABSENT, Histories, Interactions, Requests
from recsmith.contracts.plugins import Sizes
from recsmith.testing.logs import histories_of
from recsmith.training.batches import make_examples
from recsmith.training.loop import epochs
from recsmith.wiring.plugins import load_plugins
from recsmith_plugins.models import bert4rec
from recsmith_plugins.models.bert4rec import BERT4RecConfig, Network, memory

RING = 20
MASK = RING + 1
SMALL = {"heads": 2, "head_dim": 8, "blocks": 1, "max_length": 16, "dropout": 0.0, "init_std": 0.1}
CHOICE = Choice(name="bert4rec", params={**SMALL, "training": {"learning_rate": 1e-2, "batch_size": 32}})


@pytest.fixture(scope="module")
def registry():
    parts = ["loss.sampled_softmax", "loss.full_softmax", "sampler.uniform", "schedule.constant"]
    point = importlib.metadata.EntryPoint("model.bert4rec", "recsmith_plugins.models.bert4rec", "recsmith")
    return load_plugins(
        points=[point, *(p for p in importlib.metadata.entry_points(group="recsmith") if p.name in parts)]
    ).registry


def ring_walks(starts, lengths):
    indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    walk = np.arange(indptr[-1]) - np.repeat(indptr[:-1], lengths) + np.repeat(starts, lengths)
    return Histories(indptr, (walk % RING).astype(np.int32))


def ask(histories):
    return Requests(np.full(len(histories), ABSENT, np.int32), histories)


@pytest.fixture(scope="module")
def walker(registry):
    """BERT4Rec that has learnt that item + 1 follows every item."""
    rng = np.random.default_rng(0)
    histories = ring_walks(rng.integers(0, RING, 200), rng.integers(3, 40, 200))
    log = Interactions(histories, 200, RING, ordered=True)
    context = registry.context(item_counts=log.counts, users=200)
    model = registry.build("models", CHOICE, context)
    training = registry.config("models", CHOICE).training
    for _ in epochs(model, training, "sequences", log, context, total_epochs=40):
        pass
    return model


def built(registry, seed=0, **params):
    context = registry.context(item_counts=np.ones(RING, np.int64), users=200, seed=seed)
    return registry.build("models", Choice(name="bert4rec", params={**SMALL, **params}), context)


# --- serving ----------------------------------------------------------------------------------------------------------


def test_a_ring_is_learnt_and_new_users_are_served(walker):
    """Histories shorter and longer than the window, of users that training has not seen."""
    starts, lengths = np.arange(RING), np.arange(RING) * 3 + 1
    scores = walker.scores(ask(ring_walks(starts, lengths)))
    assert scores.argmax(1).tolist() == ((starts + lengths) % RING).tolist()


def test_a_hidden_item_in_the_middle_is_told_from_both_sides(walker):
    """Unlike a model of the next item it fills in the first place too."""
    inputs = torch.arange(8).repeat(8, 1) + 5
    hidden = torch.eye(8, dtype=torch.bool)
    with torch.inference_mode():
        states = walker.module(inputs.masked_fill(hidden, MASK))[hidden]
        assert walker.logits(states, None).argmax(1).tolist() == list(range(4, 12))


@pytest.mark.parametrize("recent", [True, False])
def test_a_request_is_the_recent_items_and_a_hidden_one(registry, recent):
    """With T = 16 a history of 40 is its last 15 items, an empty one the hidden item alone."""
    model = built(registry, recent=recent)
    lists = [np.arange(40) % RING, np.arange(3), np.arange(0)]
    scores = model.scores(ask(histories_of(lists)))
    for items, row in zip(lists, scores, strict=True):
        asked = torch.tensor([[*(items[-15:] + 1), MASK]])
        with torch.inference_mode():
            state = model.module(asked)[:, -1]
            expected = state @ model.module.table().weight[-RING:].T
        np.testing.assert_allclose(row, expected[0].numpy(), rtol=1e-4, atol=1e-4)


def test_scores_are_finite_for_everyone(walker):
    scores = walker.scores(ask(Histories(np.array([0, 0, 2]), np.array([1, 2], np.int32))))
    assert scores.shape == (2, RING)
    assert scores.dtype == np.float32
    assert np.isfinite(scores).all()


def test_scores_do_not_depend_on_who_else_asks(walker):
    histories = ring_walks(np.array([3, 5, 1]), np.array([2, 30, 9]))
    together = walker.scores(ask(histories))
    for row in range(3):
        np.testing.assert_allclose(walker.scores(ask(histories.take(np.array([row]))))[0], together[row], atol=1e-4)


def test_state_gives_bit_equal_scores(walker, registry):
    other = built(registry, seed=9)
    request = ask(ring_walks(np.array([3]), np.array([5])))
    assert (other.scores(request) != walker.scores(request)).any()
    other.load(walker.state())
    assert (other.scores(request) == walker.scores(request)).all()


def test_logits_of_chosen_items_are_columns_of_all_logits(walker):
    queries = torch.randn(4, 16, generator=torch.Generator().manual_seed(0))
    items = torch.tensor([[1, 2], [3, 3], [0, 19], [7, 8]])
    everything = walker.logits(queries, None)
    torch.testing.assert_close(walker.logits(queries, items), everything.gather(1, items))
    torch.testing.assert_close(walker.logits(queries, items[0]), everything[:, items[0]])


# --- what is hidden ---------------------------------------------------------------------------------------------------


def batch_of(lists, weights=None):
    """One batch of whole histories of at most 16 items, the longest first."""
    histories = histories_of(lists)
    if weights is not None:
        histories = Histories(histories.indptr, histories.item_num, weight=weights)
    log = Interactions(histories, len(lists), RING, ordered=True)
    (batch,) = make_examples("sequences", log, batch_size=1000, device="cpu", length=16).epoch(0, 1).batches
    return batch


def masked(model, batch, seed=0):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return model.masked(batch)


def test_positives_are_the_hidden_items_and_inputs_show_the_others(registry):
    model = built(registry, hidden=0.5)
    batch = batch_of([np.arange(start, start + 2 + start) % RING for start in range(14)])
    found = masked(model, batch)
    hidden = found.inputs == MASK
    assert (found.inputs == torch.where(hidden, MASK, batch.targets + 1)).all()  # padding: -1 + 1
    assert not (hidden & (batch.targets < 0)).any()
    assert found.positives.tolist() == batch.targets[hidden].tolist()
    assert ((found.targets >= 0) == hidden).all()
    assert found.position_user.tolist() == hidden.nonzero()[:, 0].tolist()
    assert len(model.queries(found)) == len(found.positives)
    assert found.times is None


def test_weights_stay_with_their_items(registry):
    lists = [np.arange(start, start + 6) for start in range(10)]
    weights = np.concatenate(lists).astype(np.float32) + 0.5
    found = masked(built(registry, hidden=0.4), batch_of(lists, weights))
    assert 0 < len(found.weights) < 60
    assert found.weights.tolist() == (found.positives + 0.5).tolist()


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_the_share_of_hidden_places_is_that_of_the_settings_and_one_at_least_in_each_row(registry, share):
    model = built(registry, hidden=share, last=0.0)
    batch = batch_of([np.arange(16) % RING for _ in range(400)])
    rows = (masked(model, batch).inputs == MASK).sum(1)
    none = (1 - share) ** 16  # rows that get their one
    assert rows.min() >= 1
    assert abs(float(rows.float().mean()) / 16 - (share + none / 16)) < 0.02
    short = batch_of([np.array([3]), np.array([5, 6])])
    assert ((masked(model, short).inputs == MASK).sum(1) >= 1).all()


def test_a_share_of_the_rows_hides_only_its_last_place(registry):
    batch = batch_of([np.arange(length) % RING for length in range(1, 17)])
    every = masked(built(registry, last=1.0), batch)
    last = batch.targets.ge(0).sum(1) - 1
    assert (every.inputs == MASK).nonzero().tolist() == [[row, place] for row, place in enumerate(last.tolist())]
    many = masked(built(registry, last=0.3, hidden=0.5), batch_of([np.arange(16) % RING for _ in range(400)]))
    hidden = many.inputs == MASK
    only = hidden[:, -1] & (hidden.sum(1) == 1)
    assert 0.2 < float(only.float().mean()) < 0.4


def test_what_is_hidden_follows_from_torchs_state_alone(registry):
    model, batch = built(registry), batch_of([np.arange(12) for _ in range(20)])
    assert torch.equal(masked(model, batch, 4).inputs, masked(model, batch, 4).inputs)
    assert not torch.equal(masked(model, batch, 4).inputs, masked(model, batch, 5).inputs)


# --- the network ------------------------------------------------------------------------------------------------------

VARIANTS = list(itertools.product(("layer", "rms"), (True, False), (True, False), (True, False)))


@pytest.mark.parametrize(("norm", "norm_first", "tied", "recent"), VARIANTS)
def test_padding_on_the_right_changes_nothing(norm, norm_first, tied, recent):
    config = BERT4RecConfig(norm=norm, norm_first=norm_first, tied=tied, recent=recent, max_length=20, init_std=0.2)
    network = Network(config, RING).eval()
    inputs = torch.randint(1, MASK + 1, (2, 9), generator=torch.Generator().manual_seed(0))
    padded = torch.cat([inputs, torch.zeros(2, 6, dtype=torch.int64)], 1)
    with torch.inference_mode():
        torch.testing.assert_close(network(inputs), network(padded)[:, :9])


def test_what_is_made_anew_in_the_backward_pass_has_the_same_gradients():
    inputs = torch.randint(1, MASK + 1, (2, 9), generator=torch.Generator().manual_seed(0))
    gradients = []
    for recompute in (False, True):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(1)
            network = Network(BERT4RecConfig(recompute=recompute, init_std=0.2), RING).train()
            network(inputs).square().sum().backward()
        gradients.append([parameter.grad for parameter in network.parameters()])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other)


# --- memory -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("settings", [{}, {"heads": 1, "expansion": 4, "blocks": 4}, {"recompute": True, "blocks": 4}])
def test_the_numbers_kept_in_training_are_those_that_the_formula_speaks_of(monkeypatch, settings):
    """What autograd keeps of a batch, beside the parameters, is at most what `memory` says and at least a third."""
    config = BERT4RecConfig(**settings)
    B, T = 16, config.max_length
    inputs = torch.randint(1, MASK + 1, (B, T), generator=torch.Generator().manual_seed(0))
    network = Network(config, RING).train()
    own = {parameter.untyped_storage().data_ptr() for parameter in network.parameters()}
    kept = {}

    def keep(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage  # held, so that no address comes twice
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        held = network(inputs)
    assert held.requires_grad
    stated = []
    monkeypatch.setattr(bert4rec, "peak_bytes", lambda footprint, *_: stated.append(footprint) or 0.0)
    memory(config, Sizes(100, RING, 10_000, T))
    bytes_kept, bound = sum(storage.nbytes() for storage in kept.values()), 4 * B * T * stated[0].kept
    assert bytes_kept <= bound
    assert config.recompute or bytes_kept > bound / 3
