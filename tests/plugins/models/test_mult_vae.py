"""MultVAE against an evidence lower bound in numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import log_softmax

from recsmith.contracts.config import Choice
from recsmith.contracts.data import ABSENT, Histories, Interactions, Requests
from recsmith.contracts.plugins import Sizes
from recsmith.contracts.training import Batch, Training
from recsmith.training.loop import epochs
from recsmith.training.objective import Lists, Objective
from recsmith.wiring.plugins import load_plugins
from recsmith_plugins.models.mult_vae import provide_models

SPEC = provide_models()[0]
TRAINING = Training(batch_size=16, learning_rate=1e-2, loss=Choice(name="full_softmax"))
NOISE = 7


@pytest.fixture(scope="module")
def registry():
    return load_plugins(["loss.full_softmax", "schedule.constant"]).registry


@pytest.fixture(scope="module")
def trained(registry):
    """40 users have 6 of items 0 to 9, 40 have 6 of items 10 to 19."""
    rng = np.random.default_rng(0)
    items = np.concatenate([rng.choice(10, 6, replace=False) + 10 * (user >= 40) for user in range(80)])
    log = Interactions(Histories(np.arange(81) * 6, items.astype(np.int32)), 80, 20, ordered=False)
    config = SPEC.config(hidden=64, latent=16, training=TRAINING)
    context = registry.context(item_counts=log.counts, users=80, seed=5)
    model = SPEC.build(config, context)
    for done in epochs(model, TRAINING, "user_rows", log, context, total_epochs=12):
        trainer = done
    return model, log, config, context, trainer


def tiny(registry):
    """An untrained model without dropout, and a batch of three users."""
    config = SPEC.config(hidden=64, latent=16, dropout=0.0, beta=0.3, annealing=4)
    model = SPEC.build(config, registry.context(item_counts=np.ones(6, np.int64), users=3, seed=1))
    rows = torch.tensor([[1.0, 0, 1, 0, 0, 1], [0, 1, 0, 0, 0, 0], [1, 1, 1, 1, 0, 0]])
    example, item = rows.nonzero(as_tuple=True)
    return model, Batch(user=torch.arange(3), positives=item, rows=rows, position_user=example)


def lower_bound(model, rows, beta):
    """The sum over users of beta x KL - log likelihood, computed in float64."""
    arrays = {name: value.detach().numpy().astype(float) for name, value in model.module.named_parameters()}

    def layer(name, x):
        return x @ arrays[f"{name}.weight"].T + arrays[f"{name}.bias"]

    x = rows.numpy().astype(float)
    coded = layer("gaussian", np.tanh(layer("inputs", x / np.sqrt((x**2).sum(1, keepdims=True)))))
    mean, deviation = coded[:, :16], np.exp(coded[:, 16:] / 2)
    noise = torch.randn(3, 16, generator=torch.Generator().manual_seed(NOISE)).numpy()
    logits = layer("output", np.tanh(layer("hidden", mean + deviation * noise)))
    kl = -0.5 * (1 + 2 * np.log(deviation) - mean**2 - deviation**2).sum()
    return beta * kl - (x * log_softmax(logits, axis=1)).sum()


def objective(model, registry, batch):
    loss = registry.build("losses", TRAINING.loss, registry.context())
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(NOISE)
        return Objective(model, Lists(loss, 6, None), TRAINING).backward(batch, 1.0, torch.Generator())


@pytest.mark.parametrize(("epoch", "beta"), [(1, 0.075), (2, 0.15), (4, 0.3), (9, 0.3)])
def test_the_objective_is_the_evidence_lower_bound_with_an_annealed_beta(registry, epoch, beta):
    model, batch = tiny(registry)
    model.begin(epoch, 20)
    assert objective(model, registry, batch) == pytest.approx(lower_bound(model, batch.rows, beta), rel=1e-5)


def test_gradients_are_those_that_finite_differences_of_the_lower_bound_tell(registry):
    model, batch = tiny(registry)
    objective(model, registry, batch)
    step = 1e-4
    for name, parameter in model.module.named_parameters():
        place = (1,) * parameter.ndim
        with torch.no_grad():
            value = float(parameter[place])
            parameter[place] = value + step
            above = lower_bound(model, batch.rows, 0.3)
            parameter[place] = value - step
            below = lower_bound(model, batch.rows, 0.3)
            parameter[place] = value
        assert float(parameter.grad[place]) == pytest.approx((above - below) / (2 * step), abs=3e-3), name


def test_unseen_items_of_the_own_taste_come_first_for_known_and_new_users(trained):
    model, log, *_ = trained
    known = model.scores(Requests(np.arange(80, dtype=np.int32), log.histories, histories_are_training=True))
    new = model.scores(Requests(np.full(80, ABSENT, np.int32), log.histories))
    assert (known == new).all()
    known[log.histories.rows, log.histories.item_num] = -np.inf
    assert ((known.argmax(1) >= 10) == (np.arange(80) >= 40)).all()


def test_state_gives_bit_equal_scores(trained):
    model, log, config, context, _ = trained
    other = SPEC.build(config, context)
    other.load(model.state())
    request = Requests(np.arange(80, dtype=np.int32), log.histories)
    assert (other.scores(request) == model.scores(request)).all()


def test_stated_memory_grows_by_more_than_what_is_kept(trained):
    model, _, config, _, trainer = trained
    kept = sum(array.nbytes for state in (model.state(), trainer.state()) for array in state.arrays.values())
    count = sum(parameter.numel() for parameter in model.module.parameters())
    stated = SPEC.memory(config, Sizes(0, 20, 0, 0)) - SPEC.memory(config, Sizes(0, 0, 0, 0))
    of_items = 20 * (2 * 64 + 1)
    assert kept * of_items / count < stated < 3 * kept
