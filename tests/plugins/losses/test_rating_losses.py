"""The losses of ratings against torch's own, and their gradients against finite differences."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import huber_loss, l1_loss, mse_loss

from recsmith_plugins.losses.absolute_error import AbsoluteError
from recsmith_plugins.losses.huber import Huber, HuberConfig
from recsmith_plugins.losses.squared_error import SquaredError

LOSSES = [SquaredError(), AbsoluteError(), Huber(HuberConfig(delta=0.5))]


@pytest.fixture
def pairs():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, 9, generator=generator, dtype=torch.float64).unbind()


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: type(loss).__name__)
def test_gradients_agree_with_finite_differences(loss, pairs):
    predicted, ratings = pairs
    assert torch.autograd.gradcheck(lambda x: loss(x, ratings), (predicted.clone().requires_grad_(),))


def test_they_are_torchs(pairs):
    torch.testing.assert_close(SquaredError()(*pairs), mse_loss(*pairs, reduction="none"))
    torch.testing.assert_close(AbsoluteError()(*pairs), l1_loss(*pairs, reduction="none"))
    torch.testing.assert_close(LOSSES[2](*pairs), 2 * huber_loss(*pairs, reduction="none", delta=0.5))


def test_huber_is_squared_error_near_by_and_linear_far_away():
    loss = Huber(HuberConfig(delta=2.0))
    found = loss(torch.tensor([1.0, -2.0, 3.0, 103.0]), torch.zeros(4))
    torch.testing.assert_close(found, torch.tensor([1.0, 4.0, 8.0, 408.0]))  # 2 delta |e| - delta^2


def test_squared_error_is_least_at_the_mean_and_absolute_error_at_the_median():
    ratings = torch.tensor([1.0, 1.0, 2.0, 5.0, 5.0, 5.0, 5.0])
    levels = torch.linspace(1, 5, 401)
    best = [levels[loss(levels[:, None], ratings[None, :]).sum(1).argmin()] for loss in LOSSES[:2]]
    torch.testing.assert_close(torch.stack(best), torch.stack([ratings.mean(), ratings.median()]), atol=0.006, rtol=0.0)
