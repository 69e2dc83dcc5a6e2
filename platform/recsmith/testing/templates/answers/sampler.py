"""Known answers."""

import numpy as np
import torch

from recsmith.testing.templates.sampler import MyName


def test_items_are_drawn_by_their_rank_in_popularity() -> None:
    sampler = MyName(np.array([5, 9, 1]), offset=1.0, device="cpu")
    draw = sampler.draw(torch.tensor([0, 1, 2]), 20_000, shared=True, generator=torch.Generator().manual_seed(0))
    shares = torch.tensor([3 / 11, 6 / 11, 2 / 11])  # as 1/2 to 1 to 1/3
    torch.testing.assert_close(draw.positive_log_expected.exp() / 20_000, shares)
    torch.testing.assert_close(torch.bincount(draw.items) / 20_000, shares, atol=0.02, rtol=0.0)
