from __future__ import annotations

import numpy as np
import pytest
import torch

from recsmith_plugins.models.gru4rec import GRU4RecConfig, Network


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def recurrent_by_hand(vectors, weights):
    """The states of a GRU (Cho et al. 2014) over vectors [T, D], one step after another; gates in the order r, z, n."""
    wide, narrow = weights["weight_ih_l0"], weights["weight_hh_l0"]
    state, states = np.zeros(narrow.shape[1]), []
    for vector in vectors:
        reset, update, new = np.split(wide @ vector + weights["bias_ih_l0"], 3)
        reset_h, update_h, new_h = np.split(narrow @ state + weights["bias_hh_l0"], 3)
        update = sigmoid(update + update_h)
        state = (1 - update) * np.tanh(new + sigmoid(reset + reset_h) * new_h) + update * state
        states.append(state)
    return np.array(states)


@pytest.mark.parametrize("layers", [1, 2])
def test_hidden_states_are_those_of_the_recurrence(layers):
    torch.manual_seed(0)
    network = Network(GRU4RecConfig(dim=6, hidden=5, layers=layers, init_std=0.5), 9).eval()
    inputs = torch.tensor([[0, 3, 9, 3], [4, 1, 0, 0]])
    with torch.inference_mode():
        hidden = network(inputs, None).numpy()
    for row in range(2):
        states = network.inputs.weight.detach().numpy()[inputs[row]]
        for layer in network.layers:
            states = recurrent_by_hand(states, {n: p.detach().numpy() for n, p in layer.named_parameters()})
        expected = states @ network.out.weight.detach().numpy().T + network.out.bias.detach().numpy()
        np.testing.assert_allclose(hidden[row], expected, atol=1e-5)


def test_dropout_of_states_works_between_layers_and_behind_the_last():
    torch.manual_seed(0)
    network = Network(GRU4RecConfig(dim=6, hidden=64, layers=2, dropout=0.0, hidden_dropout=0.6), 9).train()
    seen = []
    for module in (network.layers[1], network.out):
        module.register_forward_pre_hook(lambda _, given: seen.append((given[0] == 0).float().mean().item()))
    network(torch.randint(0, 10, (8, 20)), None)
    assert seen == pytest.approx([0.6, 0.6], abs=0.03)
