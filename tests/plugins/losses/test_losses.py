"""Known answers and gradients of the losses, against naive forms by autograd in double precision."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, logsigmoid

from recsmith.contracts.training import Draw
from recsmith_plugins.blocks.logsumexp import logsumexp
from recsmith_plugins.losses.bce import BCE
from recsmith_plugins.losses.bpr import BPR, BPRConfig
from recsmith_plugins.losses.full_softmax import FullSoftmax, FullSoftmaxConfig
from recsmith_plugins.losses.gbce import GBCE
from recsmith_plugins.losses.sampled_softmax import SampledSoftmax, SampledSoftmaxConfig
from recsmith_plugins.samplers.uniform import Uniform

P, ITEMS = 7, 11


@pytest.fixture
def logits():
    return torch.randn(P, ITEMS, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.fixture
def target():
    return torch.arange(P) + 2


def everything(positive_expected=0.0):
    """A draw of all items, each expected once."""
    items = torch.arange(ITEMS)
    return Draw(
        items, torch.zeros(ITEMS, dtype=torch.float64), torch.full((P,), positive_expected, dtype=torch.float64)
    )


def sampled(**settings):
    return SampledSoftmax(SampledSoftmaxConfig(**settings), Uniform(ITEMS))


def without_hits(logits, target):
    return logits.masked_fill(torch.arange(ITEMS) == target.unsqueeze(1), -math.inf)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_full_softmax_equals_torch_in_value_and_gradient(logits, target, smoothing):
    mine, theirs = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    loss = FullSoftmax(FullSoftmaxConfig(label_smoothing=smoothing))
    value = loss(mine.gather(1, target.unsqueeze(1)).squeeze(1), mine, None)
    oracle = cross_entropy(theirs, target, reduction="none", label_smoothing=smoothing)
    torch.testing.assert_close(value, oracle)
    torch.testing.assert_close(*torch.autograd.grad([value.sum()], [mine]), *torch.autograd.grad(oracle.sum(), theirs))


def test_sampled_softmax_with_all_items_equals_full_softmax(logits, target):
    positive = logits.gather(1, target.unsqueeze(1)).squeeze(1)
    value = sampled(negatives=16)(positive, without_hits(logits, target), everything())
    torch.testing.assert_close(value, cross_entropy(logits, target, reduction="none"))


def test_the_corrected_denominator_is_unbiased(logits, target):
    """Mean over many draws of exp(loss) x exp(positive) = the softmax's denominator."""
    positive = logits.gather(1, target.unsqueeze(1)).squeeze(1)
    generator = torch.Generator().manual_seed(1)
    loss, sampler = sampled(negatives=16), Uniform(ITEMS)
    estimates = []
    for _ in range(4000):
        draw = sampler.draw(target, 16, shared=True, generator=generator)
        hits = draw.items == target.unsqueeze(1)
        estimates.append((loss(positive, logits[:, draw.items].masked_fill(hits, -math.inf), draw) + positive).exp())
    torch.testing.assert_close(torch.stack(estimates).mean(0), logits.exp().sum(1), rtol=0.02, atol=0.0)


def test_correct_positive_lowers_a_frequent_positives_logit(logits, target):
    positive = logits.gather(1, target.unsqueeze(1)).squeeze(1)
    plain = sampled(correct_positive=True)(positive, without_hits(logits, target), everything(0.0))
    frequent = sampled(correct_positive=True)(positive, without_hits(logits, target), everything(2.0))
    assert (frequent > plain).all()


def test_bce_equals_torch(logits):
    labels = torch.cat([torch.ones(P, 1), torch.zeros(P, 3)], 1).double()
    value = BCE(3, Uniform(ITEMS))(logits[:, 0], logits[:, 1:4], None)
    oracle = binary_cross_entropy_with_logits(logits[:, :4], labels, reduction="none").mean(1)
    torch.testing.assert_close(value, oracle)


def test_gbce_with_t_0_is_bce_and_with_t_1_weighs_the_positive_by_the_sampling_rate(logits):
    positive, others = logits[:, 0], logits[:, 1:4]
    torch.testing.assert_close(
        GBCE(3, 0.0, ITEMS, Uniform(ITEMS))(positive, others, None), BCE(3, Uniform(ITEMS))(positive, others, None)
    )
    assert GBCE(3, 1.0, ITEMS, Uniform(ITEMS)).beta == pytest.approx(3 / 10)


def test_gbce_is_the_papers_formula(logits):
    rate = 3 / 10
    beta = rate * (0.75 * (1 - 1 / rate) + 1 / rate)
    naive = -((logits[:, 0].sigmoid() ** beta).log() + (1 - logits[:, 1:4].sigmoid()).log().sum(1)) / 4
    torch.testing.assert_close(GBCE(3, 0.75, ITEMS, Uniform(ITEMS))(logits[:, 0], logits[:, 1:4], None), naive)


def test_bpr_equals_the_log_sigmoid_of_differences(logits):
    value = BPR(BPRConfig(negatives=3), Uniform(ITEMS))(logits[:, 0], logits[:, 1:4], None)
    torch.testing.assert_close(value, -logsigmoid(logits[:, :1] - logits[:, 1:4]).mean(1))
    even = BPR(BPRConfig(), Uniform(ITEMS))(torch.zeros(1), torch.zeros(1, 1), None)
    assert even.item() == pytest.approx(math.log(2))


LOSSES = [
    sampled(),
    BCE(3, Uniform(ITEMS)),
    GBCE(3, 0.75, ITEMS, Uniform(ITEMS)),
    BPR(BPRConfig(negatives=3), Uniform(ITEMS)),
]


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: type(loss).__name__)
def test_gradients_agree_with_finite_differences(loss, logits):
    def value(positive, others):
        return loss(positive, others, None)

    positive, others = logits[:, 0].clone().requires_grad_(), logits[:, 1:4].clone().requires_grad_()
    assert torch.autograd.gradcheck(value, (positive, others))


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: type(loss).__name__)
def test_accidental_hits_count_for_nothing(loss, logits):
    """Also where every negative is one: the loss stays finite and their gradient is 0."""
    others = torch.full((P, 3), -math.inf, dtype=torch.float64, requires_grad=True)
    positive = logits[:, 0].clone().requires_grad_()
    loss(positive, others, None).sum().backward()
    assert torch.isfinite(positive.grad).all()
    assert (others.grad == 0).all()


def test_logsumexp_equals_torch_over_large_and_empty_rows():
    x = torch.tensor([[1e4, 1e4], [-1e4, -1e4], [0.0, 3.0], [-math.inf, 2.0], [-math.inf, -math.inf]])
    torch.testing.assert_close(logsumexp(x), torch.logsumexp(x, -1))
