"""Drawn frequencies against what each sampler says of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from recsmith_plugins.samplers.mixed import Mixed
from recsmith_plugins.samplers.popularity import Popularity
from recsmith_plugins.samplers.uniform import Uniform

COUNTS = np.array([1, 2, 4, 8, 16, 32, 64, 128])
N = 200_000
SAMPLERS = {
    "uniform": Uniform(8),
    "popularity": Popularity(COUNTS, 0.5, "cpu"),
    "mixed": Mixed(COUNTS, 0.7, "cpu"),
}


def typical_positives():
    return torch.from_numpy(np.random.default_rng(0).choice(8, N, p=COUNTS / COUNTS.sum()))


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("shared", [True, False])
def test_items_come_as_often_as_the_sampler_says(name, shared):
    positives = typical_positives()
    count = N if shared else 10
    draw = SAMPLERS[name].draw(positives, count, shared=shared, generator=torch.Generator().manual_seed(0))
    assert draw.items.shape == ((count,) if shared else (N, count)) == draw.log_expected.shape
    observed = np.bincount(draw.items.flatten().numpy(), minlength=8)
    per_item = torch.zeros(8).scatter(0, draw.items.flatten(), draw.log_expected.flatten()).exp().numpy()
    expected = per_item * (1 if shared else N)
    assert np.abs(observed - expected).max() < 5 * np.sqrt(expected.max())


def test_the_mixture_is_seven_parts_popular_and_three_parts_even():
    positives = typical_positives()
    draw = SAMPLERS["mixed"].draw(positives, 10, shared=False, generator=torch.Generator().manual_seed(0))
    observed = np.bincount(draw.items.flatten().numpy(), minlength=8) / N
    np.testing.assert_allclose(observed, 7 * COUNTS / COUNTS.sum() + 3 / 8, rtol=0.01)


@pytest.mark.parametrize("name", SAMPLERS)
def test_positives_are_told_their_own_odds(name):
    positives = torch.arange(8)
    draw = SAMPLERS[name].draw(positives, 512, shared=True, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(draw.positive_log_expected[draw.items], draw.log_expected)


def test_alpha_0_is_uniform_and_items_without_interactions_are_not_drawn_otherwise():
    counts = np.array([0, 5, 5, 0])
    generator = torch.Generator().manual_seed(0)
    even = Popularity(counts, 0.0, "cpu").draw(torch.tensor([1]), 4000, shared=True, generator=generator)
    assert np.bincount(even.items.numpy(), minlength=4).min() > 800
    popular = Popularity(counts, 0.5, "cpu").draw(torch.tensor([1]), 4000, shared=True, generator=generator)
    assert set(popular.items.tolist()) == {1, 2}
