"""The LiGR block against the equations of its paper, put together from torch's own attention."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.functional import silu

from recsmith_plugins.blocks.ligr import LiGRBlock
from recsmith_plugins.models.esasrec import ESASRecConfig

D, H = 12, 3


def by_the_paper(block, x):
    """x + sigmoid(G x) * F(norm(x)), with torch's multi-head attention under the block's weights."""
    attention = nn.MultiheadAttention(D, H, batch_first=True)
    attention.load_state_dict(
        {
            "in_proj_weight": block.query_key_value.weight,
            "in_proj_bias": block.query_key_value.bias,
            "out_proj.weight": block.project.weight,
            "out_proj.bias": block.project.bias,
        }
    )
    later = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).triu(1)
    normed = block.norms[0](x)
    mixed, _ = attention(normed, normed, normed, attn_mask=later, need_weights=False)
    x = x + torch.sigmoid(block.gates[0](x)) * mixed
    normed = block.norms[1](x)
    width = block.contract.in_features
    value, gate = normed @ block.expand.weight[:width].T, normed @ block.expand.weight[width:].T
    return x + torch.sigmoid(block.gates[1](x)) * ((value * silu(gate)) @ block.contract.weight.T)


@pytest.mark.parametrize("norm", ["layer", "rms"])
def test_it_is_the_equation_of_the_paper(norm):
    torch.manual_seed(0)
    block = LiGRBlock(ESASRecConfig(heads=H, expansion=2, norm=norm), D).eval()
    x = torch.randn(4, 7, D)
    torch.testing.assert_close(block(x), by_the_paper(block, x))


def test_shut_gates_let_nothing_in():
    torch.manual_seed(0)
    block = LiGRBlock(ESASRecConfig(heads=H), D).eval()
    x = torch.randn(2, 5, D)
    assert not torch.allclose(block(x), x)
    for gate in block.gates:
        nn.init.constant_(gate.bias, -200.0)
    torch.testing.assert_close(block(x), x)
