"""What blocks keep for the backward pass, and what they compute anew."""

from __future__ import annotations

import pytest
import torch

from recsmith_plugins.models import esasrec, sasrec

NETWORKS = [
    pytest.param(lambda **settings: sasrec.network(sasrec.SASRecConfig(**settings), 30), id="sasrec"),
    pytest.param(lambda **settings: esasrec.network(esasrec.ESASRecConfig(**settings), 30), id="esasrec"),
]


def learnt_from(make, *, recompute):
    """Gradients of a network with dropout, the random state afterwards, and the bytes that were kept meanwhile."""
    torch.manual_seed(1)
    network = make(blocks=3, dropout=0.4, init_std=0.2, recompute=recompute).train()
    inputs = torch.randint(0, 31, (4, 20))
    kept = {}

    def keep(tensor):
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        hidden = network(inputs, None)
    hidden.square().sum().backward()
    gradients = {name: parameter.grad for name, parameter in network.named_parameters()}
    return gradients, torch.random.get_rng_state(), sum(kept.values())


@pytest.mark.parametrize("make", NETWORKS)
def test_what_is_computed_anew_gives_the_same_gradients_from_less_memory(make):
    """With dropout on: the second pass must draw the masks of the first."""
    kept, after, much = learnt_from(make, recompute=False)
    anew, after_anew, little = learnt_from(make, recompute=True)
    assert kept.keys() == anew.keys()
    for name, gradient in kept.items():
        assert gradient.abs().sum() > 0, name
        assert torch.equal(gradient, anew[name]), name
    assert torch.equal(after, after_anew)
    assert little < much / 4


@pytest.mark.parametrize("make", NETWORKS)
def test_nothing_is_computed_anew_where_nothing_is_learnt(make):
    torch.manual_seed(0)
    network = make(recompute=True).eval()
    plain = make().eval()
    plain.load_state_dict(network.state_dict())
    inputs = torch.randint(0, 31, (4, 20))
    with torch.inference_mode():
        assert torch.equal(network(inputs, None), plain(inputs, None))
