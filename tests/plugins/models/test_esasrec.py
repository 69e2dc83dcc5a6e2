from __future__ import annotations

import pytest
import torch

from recsmith_plugins.models.esasrec import ESASRecConfig, network


@pytest.mark.parametrize(
    ("settings", "items", "parameters"),
    [
        ({"heads": 1, "head_dim": 8, "blocks": 1, "expansion": 1, "max_length": 20}, 1_150, 10_000),
        ({"heads": 16, "head_dim": 64, "blocks": 5, "expansion": 4, "max_length": 400}, 4_000, 100_000_000),
    ],
)
def test_sizes_from_ten_thousand_to_a_hundred_million_parameters(settings, items, parameters):
    with torch.device("meta"):
        stack = network(ESASRecConfig(**settings), items)
        hidden = stack(torch.zeros((2, 20), dtype=torch.int64), None)
    assert hidden.shape == (2, 20, settings["heads"] * settings["head_dim"])
    assert sum(parameter.numel() for parameter in stack.parameters()) == pytest.approx(parameters, rel=0.1)


def test_without_positions_only_the_causal_order_tells_items_apart():
    """One item all along: each position then sees the same as the one before it."""
    inputs = torch.full((1, 6), 3)
    for positions in (True, False):
        torch.manual_seed(0)
        stack = network(ESASRecConfig(positions=positions, init_std=0.2), 9).eval()
        with torch.inference_mode():
            hidden = stack(inputs, None)[0]
        assert torch.allclose(hidden, hidden[:1].expand(6, -1), atol=1e-5) == (not positions)
