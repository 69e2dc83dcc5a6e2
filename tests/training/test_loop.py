from __future__ import annotations

import json
import math
from types import MappingProxyType

import numpy as np
import pytest
import torch

from recsmith.contracts.config import Choice
from recsmith.contracts.data import Histories, Interactions, State
from recsmith.contracts.errors import NotFiniteError, PluginError
from recsmith.training.batches import make_examples
from recsmith.training.loop import Replay, epochs
from recsmith.training.objective import SeenItems
from recsmith.training.optimizers import make_optimizers

SMALL = {"heads": 2, "head_dim": 8, "blocks": 1, "max_length": 20}


def built(learning, interactions, *, model="sasrec", seed=0, params=MappingProxyType({}), **training):
    params = (SMALL if model == "sasrec" else {"dim": 8}) | params
    settings = {"batch_size": 16, **training}
    context = learning.context(item_counts=interactions.counts, users=interactions.users, seed=seed)
    choice = Choice(name=model, params={**params, "training": settings})
    made, config = learning.build("models", choice, context), learning.config("models", choice)
    kind = learning.spec("models", model).examples
    return made, (made, config.training, kind, interactions, context)


def weights(model):
    return {name: value.clone() for name, value in model.module.state_dict().items()}


def through_json(state):
    return State(json.loads(json.dumps(state.values)), {name: array.copy() for name, array in state.arrays.items()})


WAYS = (
    {"optimizer": "adamw"},
    {"optimizer": "adam"},
    {"optimizer": "adagrad"},
    {"optimizer": "adamw", "sparse": True},
    {"optimizer": "adagrad", "sparse": True},
    {"optimizer": "adamw", "precision": "float16", "accumulate": 3},
)


@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize("model", ["sasrec", "bpr_mf"])
def test_resuming_gives_bit_equal_parameters(learning, cycles, way, model):
    settings = way | {"schedule": {"name": "plateau", "params": {"wait": 1}}}
    whole, arguments = built(learning, cycles, model=model, **settings)
    for done in epochs(*arguments, total_epochs=4):
        done.observe(-done.epoch)  # ever worse: the rate drops
        if done.epoch == 2:
            kept, trained = through_json(done.state()), whole.state()
        torch.rand(3)  # the consumer's own use of the generator changes nothing
    other, arguments = built(learning, cycles, model=model, seed=0, **settings)
    other.load(trained)
    numbers = []
    for done in epochs(*arguments, total_epochs=4, resume=kept):
        done.observe(-done.epoch)
        numbers.append(done.epoch)
    assert numbers == [3, 4]
    for name, value in weights(whole).items():
        assert torch.equal(value, weights(other)[name]), name


def test_equal_seeds_give_equal_models_and_others_do_not(learning, cycles):
    def trained(seed):
        model, arguments = built(learning, cycles, seed=seed)
        for _ in epochs(*arguments, total_epochs=2):
            pass
        return model.module.positions.weight

    assert torch.equal(trained(3), trained(3))
    assert not torch.equal(trained(3), trained(4))


def test_training_leaves_the_global_generator_as_it_was(learning, cycles):
    _, arguments = built(learning, cycles)
    before = torch.get_rng_state()
    next(epochs(*arguments))
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("loss", ["full_softmax", "sampled_softmax", "bce", "gbce", "bpr"])
@pytest.mark.parametrize("model", ["sasrec", "bpr_mf"])
def test_every_loss_falls_on_every_kind_of_example(learning, cycles, loss, model):
    _, arguments = built(learning, cycles, model=model, loss={"name": loss}, learning_rate=1e-2)
    losses = [done.loss for done in epochs(*arguments, total_epochs=8)]
    seen_it_all = model == "bpr_mf" and loss != "full_softmax"  # most walkers visit all items: no negatives are left
    assert losses[-1] < losses[0] or seen_it_all


def test_the_gradient_in_pieces_is_that_of_the_mean_loss(learning, cycles, monkeypatch):
    """Against plain autograd on the whole batch, with pieces of 64 positions."""
    monkeypatch.setattr("recsmith.training.objective.CELLS", 1)
    model, arguments = built(
        learning, cycles, batch_size=4096, loss={"name": "full_softmax"}, gradient_clip=1e9, l1=1e-9
    )
    seen = {}
    real_step = torch.optim.AdamW.step

    def step(self, *rest):
        seen.update({name: p.grad.clone() for name, p in model.module.named_parameters() if p.grad is not None})
        return real_step(self, *rest)

    monkeypatch.setattr(torch.optim.AdamW, "step", step)
    model.module.dropout.dropped = model.module.blocks[0].dropout.dropped = 0
    twin = learning.build("models", Choice(name="sasrec", params=SMALL), arguments[4]).module.eval()
    next(epochs(*arguments, total_epochs=1))
    batch = next(make_examples("sequences", cycles, batch_size=4096, device="cpu", length=20).epoch(0, 1).batches)
    logits = twin(batch.inputs, batch.times)[batch.targets >= 0] @ twin.table().weight[1:].T
    torch.nn.functional.cross_entropy(logits, batch.positives).backward()
    for name, parameter in twin.named_parameters():
        torch.testing.assert_close(seen[name], parameter.grad, atol=2e-6, rtol=1e-4)


def test_a_recorded_trace_is_replayed(learning, cycles):
    _, arguments = built(learning, cycles, schedule={"name": "cosine"})
    first = [done.factors for done in epochs(*arguments, total_epochs=5)]
    _, arguments = built(learning, cycles)
    second = [done.factors for done in epochs(*arguments, factors=first)]
    np.testing.assert_allclose(first, second)


def test_a_replay_is_linear_between_points_and_keeps_a_drop_between_epochs():
    replay = Replay([[1.0, 0.5], [0.1, 0.1]], total=2)
    assert replay.factor(0.125) == pytest.approx(1.0)  # a quarter of epoch 1: its first point
    assert replay.factor(0.25) == pytest.approx(0.75)
    assert replay.factor(0.49) == 0.5
    assert replay.factor(0.5) == 0.1
    assert replay.factor(1.0) == 0.1


def test_a_loss_that_is_not_finite_names_epoch_step_and_remedy(learning, cycles):
    model, arguments = built(learning, cycles)
    with torch.no_grad():
        model.module.positions.weight[0, 0] = math.nan
    with pytest.raises(NotFiniteError, match=r"epoch 1, step 1 of .*lower learning_rate"):
        next(epochs(*arguments))


def trained(arguments, epochs_=2):
    *_, last = epochs(*arguments, total_epochs=epochs_)
    return last


def test_gradients_of_several_batches_make_one_step(learning, cycles):
    """Two batches of 8 in one step are one batch of 16, for a model without dropout: the same order, the same loss."""
    whole, arguments = built(learning, cycles, model="bpr_mf", batch_size=16, loss={"name": "full_softmax"})
    halves, others = built(learning, cycles, model="bpr_mf", batch_size=8, accumulate=2, loss={"name": "full_softmax"})
    assert trained(arguments).loss == pytest.approx(trained(others).loss, rel=1e-4)
    for ours, theirs in zip(whole.module.parameters(), halves.module.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
@pytest.mark.parametrize("model", ["sasrec", "bpr_mf"])
def test_lower_precision_learns_nearly_the_same(learning, cycles, model, precision):
    _, arguments = built(learning, cycles, model=model, learning_rate=1e-2)
    _, others = built(learning, cycles, model=model, learning_rate=1e-2, precision=precision)
    exact, lower = trained(arguments, 4).loss, trained(others, 4).loss
    assert lower == pytest.approx(exact, rel=0.05)
    assert lower != exact


@pytest.mark.parametrize("optimizer", ["adam", "adagrad"])
def test_tables_that_learn_sparsely_learn_the_same_rows(learning, cycles, optimizer):
    """Without decay, and where every row is named in every step, sparse and dense optimisers agree."""
    settings = {"batch_size": 4096, "loss": {"name": "sampled_softmax", "params": {"negatives": 64}}}
    settings |= {"optimizer": optimizer, "l1": 1e-9, "gradient_clip": 1e9, "learning_rate": 1e-2, "weight_decay": 0.0}
    params = {"tied": False, "dropout": 0.0}
    dense, arguments = built(learning, cycles, params=params, **settings)
    sparse, others = built(learning, cycles, params=params, sparse=True, **settings)
    assert trained(arguments, 3).loss == pytest.approx(trained(others, 3).loss, rel=1e-4)
    for (name, ours), theirs in zip(dense.module.named_parameters(), sparse.module.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3, msg=name)


def test_rows_that_no_batch_names_stay_as_they_were(learning):
    """A catalogue of 50,000 of which 12 items occur; two negatives a batch."""
    indptr = np.arange(0, 121, 12)
    log = Interactions(Histories(indptr, np.tile(np.arange(12, dtype=np.int32), 10)), 10, 50_000, ordered=True)
    loss = {"name": "sampled_softmax", "params": {"negatives": 16}}
    model, arguments = built(learning, log, sparse=True, loss=loss)
    before = model.module.inputs.weight.detach().clone()
    trained(arguments, 1)
    changed = (model.module.inputs.weight != before).any(1)
    assert changed[:13].all()
    assert 13 < int(changed.sum()) < 13 + 16 * 10


def test_a_table_that_is_read_whole_cannot_learn_sparsely(learning, cycles):
    _, arguments = built(learning, cycles, sparse=True, loss={"name": "full_softmax"})
    with pytest.raises(PluginError, match=r"training\.sparse: the whole table 'inputs.weight' got a gradient"):
        trained(arguments, 1)


def test_l1_shrinks_what_the_loss_does_not_need(learning, cycles):
    def size(l1):
        model, arguments = built(learning, cycles, l1=l1, learning_rate=1e-2)
        for _ in epochs(*arguments, total_epochs=5):
            pass
        return sum(float(value.detach().abs().sum()) for value in model.module.parameters())

    assert size(1e-3) < 0.9 * size(1e-9)


def test_weight_decay_leaves_vectors_alone(learning, cycles):
    model, (_, training, *_) = built(learning, cycles, weight_decay=0.1)
    (optimizer,) = make_optimizers(training, model.module)
    for group in optimizer.param_groups:
        expected = {0.1} if group["weight_decay"] else {0.0}
        assert {group["weight_decay"]} == expected
        assert all((parameter.ndim > 1) == bool(group["weight_decay"]) for parameter in group["params"])


def test_seen_items_are_those_of_the_matrix(cycles):
    seen = SeenItems(cycles, "cpu")
    matrix = cycles.histories.matrix(cycles.items).toarray() > 0
    users, items = torch.arange(cycles.users), torch.arange(cycles.items)
    assert (seen.contains(users, items).numpy() == matrix).all()
