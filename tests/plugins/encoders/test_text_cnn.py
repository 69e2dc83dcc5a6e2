"""The text CNN: known words by number, and a network that finds a word wherever it stands."""

import numpy as np
import pytest
import torch

from recsmith.contracts.data import Column
from recsmith_plugins.encoders.text_cnn import Network, TextCNN, TextCNNConfig


def column(*texts):
    values = np.empty(len(texts), object)
    values[:] = texts
    return Column("text", "text", values)


def test_words_are_numbered_by_how_many_texts_hold_them_and_unknown_ones_are_1():
    encoder = TextCNN(TextCNNConfig(length=4))
    encoder.fit(column("The sea, the SEA!", "a sea", "the end", None))
    assert encoder.words == ["sea", "the"]
    features = encoder.features(column("the end of the sea", None, "?!", "sea"))
    assert features.tolist() == [[3, 1, 1, 3], [0, 0, 0, 0], [0, 0, 0, 0], [2, 0, 0, 0]]


def test_only_the_most_frequent_words_are_known():
    encoder = TextCNN(TextCNNConfig(words=1000, min_count=1))
    encoder.fit(column(*(f"common w{number}" for number in range(1500))))
    assert len(encoder.words) == 1000
    assert encoder.words[0] == "common"


def test_what_is_behind_the_last_word_has_no_say():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = Network(TextCNNConfig(), 10, 8).eval()
    with torch.no_grad():
        short = network(torch.tensor([[3.0, 4.0, 5.0]]))
        padded = network(torch.tensor([[3.0, 4.0, 5.0, 0.0, 0.0]]))
    assert torch.allclose(short, padded, atol=1e-6)


@pytest.mark.parametrize("phrase", [(7,), (8, 9)])
def test_it_learns_to_find_a_phrase_wherever_it_stands(phrase):
    """Texts of 12 random words; half of them hold the phrase. Unseen texts are told apart."""
    rng = np.random.default_rng(0)
    rows = rng.integers(2, 7, (600, 12)).astype(np.float32)
    label = np.arange(600) % 2
    for row in np.flatnonzero(label):
        place = rng.integers(0, 12 - len(phrase))
        rows[row, place : place + len(phrase)] = phrase
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = Network(TextCNNConfig(dropout=0.0), 12, 1)
        optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
        inputs, wanted = torch.from_numpy(rows), torch.from_numpy(label).float()
        for _ in range(40):
            optimizer.zero_grad()
            loss = torch.nn.functional.binary_cross_entropy_with_logits(network(inputs[:400]).squeeze(1), wanted[:400])
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        found = network(inputs[400:]).squeeze(1) > 0
    assert (found == wanted[400:].bool()).float().mean() > 0.97
