"""The parts of variational autoencoders against torch.distributions and plain products."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.distributions import Normal, kl_divergence

from recsmith.contracts.data import ABSENT, Histories, Requests
from recsmith.contracts.training import Batch
from recsmith_plugins.blocks.variational import RowModel, divergence, log_density, unit

B, ITEMS, L = 5, 7, 3


def randn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


class Network(nn.Module):
    """Linear all the way, with a divergence from the standard normal distribution."""

    def __init__(self):
        super().__init__()
        self.inputs = nn.Linear(ITEMS, 2 * L)
        self.output = nn.Linear(L, ITEMS)

    def encode(self, rows):
        return self.inputs(rows).chunk(2, dim=1)

    def decode(self, latent):
        return latent

    def term(self, rows, latent, mean, log_variance):
        assert len(rows) == len(latent)
        return divergence(mean, log_variance).sum()

    def begin(self, epoch):
        self.epoch = epoch

    def pace(self, epoch):
        return {"inputs.": float(epoch)}


def model():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        return RowModel(Network(), ITEMS, "cpu")


def batch():
    rows = (randn(B, ITEMS, seed=4) > 0).float()
    example, item = rows.nonzero(as_tuple=True)
    return Batch(user=torch.arange(B), positives=item, rows=rows, position_user=example)


def test_divergence_is_that_of_torch_distributions():
    mean, log_variance = randn(B, L), randn(B, L, seed=1)
    expected = kl_divergence(Normal(mean, (0.5 * log_variance).exp()), Normal(0.0, 1.0)).sum(1)
    torch.testing.assert_close(divergence(mean, log_variance), expected)


def test_log_density_is_that_of_torch_distributions():
    x, mean, log_variance = randn(B, L), randn(B, L, seed=1), randn(B, L, seed=2)
    torch.testing.assert_close(log_density(x, mean, log_variance), Normal(mean, (0.5 * log_variance).exp()).log_prob(x))
    torch.testing.assert_close(log_density(x, 0.0, 2.0), Normal(0.0, np.exp(1.0)).log_prob(x))


def test_rows_have_length_one_and_an_empty_one_stays_empty():
    rows = unit(torch.tensor([[3.0, 4.0], [0.0, 0.0]]))
    torch.testing.assert_close(rows, torch.tensor([[0.6, 0.8], [0.0, 0.0]]))


def test_each_positive_has_the_query_of_its_user():
    given = batch()
    queries = model().queries(given)
    same = given.position_user[1:] == given.position_user[:-1]
    assert ((queries[1:] == queries[:-1]).all(1) == same).all()


def test_logits_and_their_gradients_are_those_of_a_product_with_every_query():
    """Runs of equal queries are multiplied once; each user's gradient is that of all its positives."""
    rows = model()
    user = torch.tensor([0, 0, 0, 1, 2, 2])
    weights = randn(len(user), ITEMS, seed=6)
    found, plain = (randn(3, L, seed=5).requires_grad_() for _ in range(2))
    logits, expected = rows.logits(found[user], None), rows.module.output(plain[user])
    torch.testing.assert_close(logits, expected)
    some = torch.tensor([[6, 0], [1, 1], [2, 5], [0, 3], [4, 4], [5, 6]])
    torch.testing.assert_close(rows.logits(found[user], some), expected.gather(1, some))
    torch.testing.assert_close(rows.logits(found[user], some[0]), expected[:, some[0]])
    (logits * weights).sum().backward()
    (expected * weights).sum().backward()
    torch.testing.assert_close(found.grad, plain.grad)


def test_scores_follow_from_the_history_alone_and_take_no_noise():
    rows = model()
    histories = Histories(np.array([0, 3, 6, 6]), np.array([1, 4, 4, 4, 1, 1], np.int32))
    scores = rows.scores(Requests(np.array([0, ABSENT, ABSENT], np.int32), histories))
    taken = torch.zeros(2, ITEMS)
    taken[0, [1, 4]] = 1.0
    expected = rows.module.output(rows.module.encode(taken)[0]).detach().numpy()
    np.testing.assert_allclose(scores, expected[[0, 0, 1]], rtol=1e-6)


def test_stages_and_pace_are_the_networks():
    rows = model()
    rows.begin(3, 10)
    assert (rows.module.epoch, rows.pace(2)) == (3, {"inputs.": 2.0})
