"""RecVAE against its lower bound with the composite prior, in numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import expit, log_softmax
from scipy.stats import norm

from recsmith.contracts.config import Choice
from recsmith.contracts.data import ABSENT, Histories, Interactions, Requests
from recsmith.contracts.plugins import Sizes
from recsmith.contracts.training import Batch, Training
from recsmith.training.loop import epochs
from recsmith.training.objective import Lists, Objective
from recsmith.wiring.plugins import load_plugins
from recsmith_plugins.models.rec_vae import provide_models

SPEC = provide_models()[0]
TRAINING = Training(batch_size=16, learning_rate=1e-2, loss=Choice(name="full_softmax"))
NOISE, LATENT = 7, 16


@pytest.fixture(scope="module")
def registry():
    return load_plugins(["loss.full_softmax", "schedule.constant"]).registry


@pytest.fixture(scope="module")
def trained(registry):
    """40 users have 6 of items 0 to 9, 40 have 6 of items 10 to 19; and the state after each epoch."""
    rng = np.random.default_rng(0)
    items = np.concatenate([rng.choice(10, 6, replace=False) + 10 * (user >= 40) for user in range(80)])
    log = Interactions(Histories(np.arange(81) * 6, items.astype(np.int32)), 80, 20, ordered=False)
    config = SPEC.config(hidden=64, latent=LATENT, encoder_epochs=2, training=TRAINING)
    context = registry.context(item_counts=log.counts, users=80, seed=5)
    model = SPEC.build(config, context)
    states = [model.state()]
    for done in epochs(model, TRAINING, "user_rows", log, context, total_epochs=12):
        states.append(model.state())
        trainer = done
    return model, log, config, context, states, trainer


def tiny(registry):
    """An untrained model without dropout whose memory is another encoder, and a batch of three users."""
    config = SPEC.config(hidden=64, latent=LATENT, dropout=0.0, gamma=0.1, encoder_epochs=1)
    model = SPEC.build(config, registry.context(item_counts=np.ones(6, np.int64), users=3, seed=1))
    generator = torch.Generator().manual_seed(2)
    for parameter in model.module.remembered.parameters():
        parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    rows = torch.tensor([[1.0, 0, 1, 0, 0, 1], [0, 1, 0, 0, 0, 0], [1, 1, 1, 1, 0, 0]])
    example, item = rows.nonzero(as_tuple=True)
    return model, Batch(user=torch.arange(3), positives=item, rows=rows, position_user=example)


def encoded(arrays, prefix, x):
    """The five layers of the paper's encoder, written out: mean and deviation."""

    def layer(number, given):
        return given @ arrays[f"{prefix}.layers.{number}.weight"].T + arrays[f"{prefix}.layers.{number}.bias"]

    def normal(number, given):
        given = given * expit(given)
        scaled = (given - given.mean(1, keepdims=True)) / np.sqrt(given.var(1, keepdims=True) + 0.1)
        return scaled * arrays[f"{prefix}.norms.{number}.weight"] + arrays[f"{prefix}.norms.{number}.bias"]

    h1 = normal(0, layer(0, x))
    h2 = normal(1, layer(1, h1) + h1)
    h3 = normal(2, layer(2, h2) + h1 + h2)
    h4 = normal(3, layer(3, h3) + h1 + h2 + h3)
    h5 = normal(4, layer(4, h4) + h1 + h2 + h3 + h4)
    coded = h5 @ arrays[f"{prefix}.gaussian.weight"].T + arrays[f"{prefix}.gaussian.bias"]
    return coded[:, :LATENT], np.exp(coded[:, LATENT:] / 2)


def lower_bound(model, rows, gamma):
    """The sum over users of gamma x items x log(q / prior) - log likelihood, computed in float64."""
    arrays = {name: value.detach().numpy().astype(float) for name, value in model.module.named_parameters()}
    x = rows.numpy().astype(float)
    unit = x / np.sqrt(x.sum(1, keepdims=True))
    mean, deviation = encoded(arrays, "encoder", unit)
    z = mean + deviation * torch.randn(3, LATENT, generator=torch.Generator().manual_seed(NOISE)).numpy()
    prior = 0.15 * norm.pdf(z) + 0.1 * norm.pdf(z, scale=np.exp(5))
    prior += 0.75 * norm.pdf(z, *encoded(arrays, "remembered", unit))
    distance = (norm.logpdf(z, mean, deviation) - np.log(prior)).sum(1)
    logits = z @ arrays["output.weight"].T + arrays["output.bias"]
    return (gamma * x.sum(1) * distance).sum() - (x * log_softmax(logits, axis=1)).sum()


def objective(model, registry, batch):
    loss = registry.build("losses", TRAINING.loss, registry.context())
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(NOISE)
        return Objective(model, Lists(loss, 6, None), TRAINING).backward(batch, 1.0, torch.Generator())


def test_in_the_encoders_turn_the_objective_is_the_lower_bound_with_the_composite_prior(registry):
    model, batch = tiny(registry)
    model.begin(1, 20)
    assert objective(model, registry, batch) == pytest.approx(lower_bound(model, batch.rows, 0.1), rel=1e-5)


def test_in_the_decoders_turn_it_is_the_likelihood_alone(registry):
    model, batch = tiny(registry)
    model.begin(2, 20)
    assert objective(model, registry, batch) == pytest.approx(lower_bound(model, batch.rows, 0.0), rel=1e-5)


def test_gradients_are_those_that_finite_differences_of_the_lower_bound_tell(registry):
    model, batch = tiny(registry)
    model.begin(1, 20)
    objective(model, registry, batch)
    step = 1e-4
    for name, parameter in model.module.named_parameters():
        if name.startswith("remembered."):
            assert parameter.grad is None
            continue
        place = (1,) * parameter.ndim
        with torch.no_grad():
            value = float(parameter[place])
            parameter[place] = value + step
            above = lower_bound(model, batch.rows, 0.1)
            parameter[place] = value - step
            below = lower_bound(model, batch.rows, 0.1)
            parameter[place] = value
        assert float(parameter.grad[place]) == pytest.approx((above - below) / (2 * step), abs=3e-3), name


def test_encoder_and_decoder_learn_in_turns_and_the_prior_remembers_the_encoder_after_its_turn(trained):
    states = trained[4]

    def changed(epoch, part):
        before, after = ({n: a for n, a in states[e].arrays.items() if n.startswith(part)} for e in (epoch - 1, epoch))
        return any((before[name] != after[name]).any() for name in before)

    for epoch in range(1, 7):
        decoders = epoch % 3 == 0
        assert changed(epoch, "encoder.") is not decoders
        assert changed(epoch, "output.") is decoders
        assert changed(epoch, "remembered.") is decoders
    assert (states[3].arrays["remembered.layers.0.weight"] == states[3].arrays["encoder.layers.0.weight"]).all()


def test_unseen_items_of_the_own_taste_come_first_for_known_and_new_users(trained):
    model, log, *_ = trained
    known = model.scores(Requests(np.arange(80, dtype=np.int32), log.histories, histories_are_training=True))
    new = model.scores(Requests(np.full(80, ABSENT, np.int32), log.histories))
    assert (known == new).all()
    known[log.histories.rows, log.histories.item_num] = -np.inf
    assert ((known.argmax(1) >= 10) == (np.arange(80) >= 40)).all()


def test_state_gives_bit_equal_scores(trained):
    model, log, config, context, *_ = trained
    other = SPEC.build(config, context)
    other.load(model.state())
    request = Requests(np.arange(80, dtype=np.int32), log.histories)
    assert (other.scores(request) == model.scores(request)).all()


def test_stated_memory_grows_by_more_than_what_is_kept(trained):
    model, _, config, *_, trainer = trained
    kept = sum(array.nbytes for state in (model.state(), trainer.state()) for array in state.arrays.values())
    count = sum(parameter.numel() for parameter in model.module.parameters())
    stated = SPEC.memory(config, Sizes(0, 20, 0, 0)) - SPEC.memory(config, Sizes(0, 0, 0, 0))
    of_items = 20 * (2 * 64 + LATENT + 1)
    assert kept * of_items / count < stated < 3 * kept
