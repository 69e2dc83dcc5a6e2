from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from recsmith.contracts.config import Choice
from recsmith.contracts.data import ABSENT, Histories, Interactions, Requests
from recsmith.training.loop import epochs
from recsmith.wiring.plugins import load_plugins
from recsmith_plugins.models.sasrec import SASRecConfig, network

RING = 20
CHOICE = Choice(
    name="sasrec",
    params={
        "heads": 2,
        "head_dim": 8,
        "blocks": 1,
        "max_length": 16,
        "dropout": 0.0,
        "training": {"learning_rate": 1e-2, "batch_size": 32},
    },
)


@pytest.fixture(scope="module")
def registry():
    names = ["model.sasrec", "loss.sampled_softmax", "loss.full_softmax", "sampler.uniform", "schedule.constant"]
    return load_plugins(names).registry


def ring_walks(starts, lengths):
    indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    walk = np.arange(indptr[-1]) - np.repeat(indptr[:-1], lengths) + np.repeat(starts, lengths)
    return Histories(indptr, (walk % RING).astype(np.int32))


@pytest.fixture(scope="module")
def walker(registry):
    """SASRec that has learnt that item + 1 follows every item."""
    rng = np.random.default_rng(0)
    histories = ring_walks(rng.integers(0, RING, 200), rng.integers(3, 40, 200))
    log = Interactions(histories, 200, RING, ordered=True)
    context = registry.context(item_counts=log.counts, users=200)
    model = registry.build("models", CHOICE, context)
    training = registry.config("models", CHOICE).training
    for _ in epochs(model, training, "sequences", log, context, total_epochs=12):
        pass
    return model


def ask(histories):
    return Requests(np.full(len(histories), ABSENT, np.int32), histories)


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


def test_state_gives_bit_equal_scores(walker, registry):
    context = registry.context(item_counts=np.ones(RING, np.int64), users=200, seed=9)
    other = registry.build("models", CHOICE, context)
    request = ask(ring_walks(np.array([3]), np.array([5])))
    assert (other.scores(request) != walker.scores(request)).any()
    other.load(walker.state())
    assert (other.scores(request) == walker.scores(request)).all()


VARIANTS = list(itertools.product(("layer", "rms"), (True, False), (True, False)))


@pytest.mark.parametrize(("norm", "norm_first", "tied"), VARIANTS)
def test_no_position_sees_a_later_input(norm, norm_first, tied):
    config = SASRecConfig(norm=norm, norm_first=norm_first, tied=tied, max_length=20, init_std=0.2)
    stack = network(config, 30).eval()
    inputs = torch.randint(1, 31, (2, 12), generator=torch.Generator().manual_seed(0))
    changed = inputs.clone()
    changed[:, 7:] = 5
    with torch.inference_mode():
        before, after = stack(inputs, None), stack(changed, None)
    torch.testing.assert_close(before[:, :7], after[:, :7])
    assert not torch.allclose(before[:, 7:], after[:, 7:])


def test_padding_on_the_right_changes_nothing():
    stack = network(SASRecConfig(max_length=20, init_std=0.2), 30).eval()
    inputs = torch.randint(1, 31, (2, 9), generator=torch.Generator().manual_seed(0))
    padded = torch.cat([inputs, torch.zeros(2, 6, dtype=torch.int64)], 1)
    with torch.inference_mode():
        torch.testing.assert_close(stack(inputs, None), stack(padded, None)[:, :9])


def test_logits_of_chosen_items_are_columns_of_all_logits(walker):
    queries = torch.randn(4, 16, generator=torch.Generator().manual_seed(0))
    items = torch.tensor([[1, 2], [3, 3], [0, 19], [7, 8]])
    everything = walker.logits(queries, None)
    torch.testing.assert_close(walker.logits(queries, items), everything.gather(1, items))
    torch.testing.assert_close(walker.logits(queries, items[0]), everything[:, items[0]])
