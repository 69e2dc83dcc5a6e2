from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from torch import nn

from recsmith_plugins.blocks.bidirectional import BidirectionalBlock

D = 12
LENGTHS = torch.tensor([9, 4, 1])
REAL = torch.arange(9) < LENGTHS[:, None]


@dataclass(frozen=True)
class Settings:
    heads: int = 3
    dropout: float = 0.0
    expansion: int = 2
    activation: str = "gelu"
    norm: str = "layer"
    norm_first: bool = True


def block_and_input(settings):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        block = BidirectionalBlock(settings, D).eval()
        for parameter in block.parameters():
            nn.init.normal_(parameter, std=0.5)
        return block, torch.randn(3, 9, D)


@pytest.mark.parametrize("activation", ["gelu", "relu"])
@pytest.mark.parametrize("norm_first", [True, False])
def test_it_is_the_encoder_layer_of_torch(norm_first, activation):
    block, x = block_and_input(Settings(norm_first=norm_first, activation=activation))
    theirs = nn.TransformerEncoderLayer(D, 3, 2 * D, 0.0, activation, batch_first=True, norm_first=norm_first)
    names = {
        "query_key_value.weight": "self_attn.in_proj_weight",
        "query_key_value.bias": "self_attn.in_proj_bias",
        "project": "self_attn.out_proj",
        "expand": "linear1",
        "contract": "linear2",
        "norms.0": "norm1",
        "norms.1": "norm2",
    }
    state = {}
    for name, value in block.state_dict().items():
        ours = next(part for part in names if name.startswith(part))
        state[name.replace(ours, names[ours])] = value
    theirs.load_state_dict(state)
    expected = theirs(x, src_key_padding_mask=~REAL)
    torch.testing.assert_close(block(x, REAL)[REAL], expected[REAL], rtol=1e-4, atol=1e-5)


def test_padding_has_no_say_and_both_sides_have():
    block, x = block_and_input(Settings())
    padded, later = x.clone(), x.clone()
    padded[~REAL] = 100.0
    later[0, 8] = 100.0
    torch.testing.assert_close(block(x, REAL)[REAL], block(padded, REAL)[REAL])
    assert not torch.allclose(block(x, REAL)[0, :8], block(later, REAL)[0, :8])
