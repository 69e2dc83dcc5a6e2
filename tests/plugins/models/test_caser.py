from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.functional import max_pool1d

from recsmith_plugins.models.caser import CaserConfig, Network


def by_the_paper(network, picture):
    """The hidden state after L items whose vectors are `picture` [L, D], by two-dimensional convolutions."""
    L, D = picture.shape
    picture, features = picture[None, None], []
    for height, filters in enumerate(network.horizontal, start=1):
        wide = nn.Conv2d(1, filters.out_channels, (height, D))
        wide.weight.data, wide.bias.data = filters.weight.transpose(1, 2)[:, None], filters.bias
        answers = torch.relu(wide(picture)).squeeze(3)  # [1, filters, L - height + 1]
        features.append(max_pool1d(answers, answers.shape[2]).flatten())
    if network.vertical is not None:
        tall = nn.Conv2d(1, network.vertical.out_channels, (L, 1))
        tall.weight.data, tall.bias.data = network.vertical.weight[:, :, :, None], network.vertical.bias
        features.append(tall(picture)[0, :, 0].T.flatten())  # [D, filters], as the network has them
    return network.out(torch.cat(features))


@pytest.mark.parametrize(("window", "vertical"), [(2, 3), (4, 2), (4, 0)])
def test_all_positions_at_once_are_what_each_window_alone_gives(window, vertical):
    """Where fewer than L inputs are there, rows of zeros stand before them."""
    torch.manual_seed(0)
    config = CaserConfig(dim=6, window=window, horizontal=5, vertical=vertical, activation="relu", init_std=1.0)
    network = Network(config, 9).eval()
    inputs = torch.tensor([[0, 3, 9, 3, 1, 2, 8], [4, 1, 7, 7, 5, 0, 0]])
    with torch.no_grad():
        hidden = network(inputs, None)
        vectors = torch.cat([torch.zeros(2, window - 1, 6), network.inputs(inputs)], 1)
        for row in range(2):
            for place in range(7):
                expected = by_the_paper(network, vectors[row, place : place + window])
                torch.testing.assert_close(hidden[row, place], expected)


def test_a_position_forgets_what_lies_before_its_window():
    torch.manual_seed(0)
    network = Network(CaserConfig(window=3, init_std=1.0), 9).eval()
    inputs = torch.randint(1, 10, (1, 8))
    changed = inputs.clone()
    changed[:, 2] = inputs[:, 2] % 9 + 1
    with torch.inference_mode():
        differs = (network(inputs, None) != network(changed, None)).any(2)[0]
    assert differs.tolist() == [False, False, True, True, True, False, False, False]
