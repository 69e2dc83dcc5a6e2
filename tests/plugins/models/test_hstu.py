from __future__ import annotations

import importlib.metadata
from dataclasses import replace

import numpy as np
import pytest
import torch

from recsmith.contracts.config import Choice
from recsmith.contracts.data import ABSENT, Histories, Interactions, Requests
from recsmith.contracts.plugins import Sizes
from recsmith.training.loop import epochs
from recsmith.wiring.plugins import load_plugins
from recsmith_plugins.blocks.hstu_layer import UNKNOWN
from recsmith_plugins.models import hstu
from recsmith_plugins.models.hstu import HSTUConfig, Network, memory

RING = 20
HOUR, YEAR = 3600, 31_536_000
CHOICE = Choice(
    name="hstu",
    params={
        "heads": 2,
        "head_dim": 8,
        "blocks": 1,
        "max_length": 16,
        "dropout": 0.0,
        "timeless": 0.2,
        "training": {"learning_rate": 1e-2, "batch_size": 32},
    },
)


@pytest.fixture(scope="module")
def registry():
    parts = ["loss.sampled_softmax", "loss.full_softmax", "sampler.uniform", "schedule.constant"]
    point = importlib.metadata.EntryPoint("model.hstu", "recsmith_plugins.models.hstu", "recsmith")
    return load_plugins(
        points=[point, *(p for p in importlib.metadata.entry_points(group="recsmith") if p.name in parts)]
    ).registry


def ask(histories):
    return Requests(np.full(len(histories), ABSENT, np.int32), histories)


def paced_walks(users, seed):
    """Walks on a ring, and where each goes on: one item on after an hour's pause, seven on after a year's.

    The pause that decides is that between the last two items, so no moment of the item to come is needed.
    """
    rng = np.random.default_rng(seed)
    lengths = rng.integers(2, 30, users)
    items, moments, following = [], [], []
    for length in lengths:
        long = rng.random(length) < 0.5  # before each item; that before the first has no say
        step = np.where(long, 7, 1)
        start = rng.integers(RING)
        places = start + np.concatenate([[0, 1], 1 + np.cumsum(step[1:])])
        items.append(places[:-1] % RING)
        following.append(places[-1] % RING)
        moments.append(1_000_000_000 + np.cumsum(np.where(long, YEAR, HOUR)))
    indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return Histories(indptr, np.concatenate(items).astype(np.int32), np.concatenate(moments)), np.array(following)


@pytest.fixture(scope="module")
def walker(registry):
    """HSTU that has learnt the paced walks."""
    histories, _ = paced_walks(300, 0)
    log = Interactions(histories, 300, RING, ordered=True)
    context = registry.context(item_counts=log.counts, users=300)
    model = registry.build("models", CHOICE, context)
    training = registry.config("models", CHOICE).training
    for _ in epochs(model, training, "sequences", log, context, total_epochs=20):
        pass
    return model


def test_what_follows_from_the_pause_between_two_inputs_is_learnt_and_new_users_are_served(walker):
    histories, following = paced_walks(100, 1)
    found = walker.scores(ask(histories)).argmax(1)
    assert (found == following).mean() > 0.95


def test_without_moments_only_one_of_both_ways_on_can_be_guessed(walker):
    """Requests without moments are answered all the same: with one of the two that may follow, about half right."""
    histories, following = paced_walks(100, 1)
    found = walker.scores(ask(replace(histories, timestamp=None))).argmax(1)
    last = histories.item_num[histories.indptr[1:] - 1]
    assert np.isin((found - last) % RING, (1, 7)).mean() > 0.9
    assert 0.25 < (found == following).mean() < 0.75


def test_an_empty_history_gets_finite_scores(walker):
    histories = Histories(np.array([0, 0, 2]), np.array([1, 2], np.int32), np.array([5, 9]))
    scores = walker.scores(ask(histories))
    assert scores.shape == (2, RING)
    assert scores.dtype == np.float32
    assert np.isfinite(scores).all()


def test_scores_do_not_depend_on_who_else_asks(walker):
    histories, _ = paced_walks(4, 2)
    together = walker.scores(ask(histories))
    for row in range(4):
        np.testing.assert_allclose(walker.scores(ask(histories.take(np.array([row]))))[0], together[row], atol=1e-4)


def test_state_gives_bit_equal_scores(walker, registry):
    other = registry.build("models", CHOICE, registry.context(item_counts=np.ones(RING, np.int64), users=300, seed=9))
    request = ask(paced_walks(3, 4)[0])
    assert (other.scores(request) != walker.scores(request)).any()
    other.load(walker.state())
    assert (other.scores(request) == walker.scores(request)).all()


# --- the network ------------------------------------------------------------------------------------------------------


def network(**settings):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        made = Network(HSTUConfig(max_length=20, init_std=0.2, **settings), 30).eval()
        for layer in made.layers:
            for parameter in layer.bias.parameters():
                torch.nn.init.normal_(parameter)
        return made


def inputs_and_times(T=12):
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randint(1, 31, (2, T), generator=generator)
    return inputs, 10**9 + torch.randint(0, 10**7, (2, T), generator=generator).cumsum(1)


@pytest.mark.parametrize("positions", [True, False])
@pytest.mark.parametrize("tied", [True, False])
def test_no_position_sees_a_later_input_or_moment(tied, positions):
    made = network(tied=tied, positions=positions)
    inputs, times = inputs_and_times()
    others, later = inputs.clone(), times.clone()
    others[:, 7:] = 5
    later[:, 7:] += 10**8
    with torch.inference_mode():
        before = made(inputs, times)
        for after in (made(others, times), made(inputs, later)):
            torch.testing.assert_close(before[:, :7], after[:, :7])
            assert not torch.allclose(before[:, 7:], after[:, 7:])


@pytest.mark.parametrize("timed", [True, False])
def test_padding_on_the_right_changes_nothing(timed):
    made = network()
    inputs, times = inputs_and_times(9)
    nothing = torch.zeros(2, 6, dtype=torch.int64)
    more = torch.cat([inputs, nothing], 1), torch.cat([times, nothing], 1) if timed else None
    with torch.inference_mode():
        torch.testing.assert_close(made(inputs, times if timed else None), made(*more)[:, :9])


def test_only_time_between_inputs_counts_not_the_date():
    made = network()
    inputs, times = inputs_and_times()
    with torch.inference_mode():
        assert torch.equal(made(inputs, times), made(inputs, times + 10**8))


def test_moments_that_are_hidden_in_training_are_those_of_whole_windows(monkeypatch):
    """With `timeless` near its bounds: all windows are as without moments, or none is."""
    inputs, times = inputs_and_times()
    made = network(dropout=0.0).train()
    made.timeless = 1.0
    torch.testing.assert_close(made(inputs, times), made(inputs, None))
    seen = []
    monkeypatch.setattr(made.layers[0], "forward", lambda x, buckets: seen.append(buckets) or x)
    made.timeless = 0.5
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        made(inputs.repeat(50, 1), times.repeat(50, 1))
    hidden = seen[0] == UNKNOWN
    assert (hidden.all((1, 2)) | ~hidden.any((1, 2))).all()
    assert 30 < hidden.all((1, 2)).sum() < 70


def test_without_times_in_the_settings_moments_have_no_say():
    made = network(times=False)
    inputs, times = inputs_and_times()
    with torch.inference_mode():
        assert torch.equal(made(inputs, times), made(inputs, None))


def test_what_is_made_anew_in_the_backward_pass_has_the_same_gradients():
    inputs, times = inputs_and_times()
    gradients = []
    for recompute in (False, True):
        made = network(recompute=recompute, dropout=0.3).train()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(1)
            made(inputs, times).square().sum().backward()
        gradients.append([parameter.grad for name, parameter in made.named_parameters()])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other)


# --- memory -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("settings", [{}, {"heads": 1, "head_dim": 16, "blocks": 4}, {"recompute": True, "blocks": 4}])
def test_the_numbers_kept_in_training_are_those_that_the_formula_speaks_of(monkeypatch, settings):
    """What autograd keeps of a batch, beside the parameters, is at most what `memory` says and at least a third."""
    config = HSTUConfig(**settings)
    B, T = 16, config.max_length
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randint(1, 51, (B, T), generator=generator)
    times = torch.randint(0, 10**6, (B, T), generator=generator).cumsum(1)
    made = Network(config, 50)
    own = {parameter.untyped_storage().data_ptr() for parameter in made.parameters()}
    kept = {}

    def keep(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage  # held, so that no address comes twice
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        held = made.train()(inputs, times)
    assert held.requires_grad
    stated = []
    monkeypatch.setattr(hstu, "peak_bytes", lambda footprint, *_: stated.append(footprint) or 0.0)
    memory(config, Sizes(100, 50, 10_000, T))
    bytes_kept, bound = sum(storage.nbytes() for storage in kept.values()), 4 * B * T * stated[0].kept
    assert bytes_kept <= bound
    assert config.recompute or bytes_kept > bound / 3


def test_memory_grows_with_histories_and_with_the_catalogue():
    assert memory(HSTUConfig(), Sizes(1000, 100, 10_000, 50)) < memory(HSTUConfig(), Sizes(1000, 100, 10_000, 100))
    small, large = (memory(HSTUConfig(), Sizes(1000, items, 10_000, 50)) for items in (10_000, 110_000))
    assert large - small >= 28 * 100_000 * 64
