"""The shared arithmetic of what models state of their memory."""

import pytest

from recsmith.contracts.config import Choice
from recsmith.contracts.plugins import Sizes
from recsmith.contracts.training import Training
from recsmith_plugins.blocks.memory import chunk_bytes, logits_at_once, pairs_bytes, rows_at_once

SIZES = Sizes(users=1_000_000, items=100_000, interactions=20_000_000, longest=1_000)


def training(loss, **params):
    return Training(batch_size=1024, loss=Choice(name=loss, params=params))


@pytest.mark.parametrize(
    ("sizes", "scores"),
    [(SIZES, 32 * 2**20), (Sizes(3, 100, 10, 5), 3 * 100 * 4), (Sizes(3, 10**8, 10, 5), 4 * 10**8)],
)
def test_a_chunk_of_scores_is_32_mb_or_all_requests_or_one(sizes, scores):
    assert chunk_bytes(sizes) == scores


@pytest.mark.parametrize(
    ("loss", "params", "rows", "logits"),
    [
        ("bpr", {"negatives": 2}, 300, 2**21),
        ("sampled_softmax", {"negatives": 64}, 164, 2**21),
        ("full_softmax", {}, 100_000, 64 * 100_000),
        ("not_known_here", {}, 100_000, 64 * 100_000),
    ],
)
def test_a_loss_that_does_not_draw_reads_the_whole_catalogue(loss, params, rows, logits):
    assert rows_at_once(100, training(loss, **params), SIZES.items) == rows
    assert logits_at_once(training(loss, **params), SIZES.items) == logits


def test_pairs_hold_each_parameter_seven_times_at_the_most():
    few, many = (pairs_bytes(count, 64, training("bpr"), SIZES) for count in (10**8, 10**9))
    assert many - few == 28 * 9 * 10**8
