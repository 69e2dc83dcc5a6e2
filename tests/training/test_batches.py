from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch

from recsmith.contracts.data import Histories, Interactions
from recsmith.testing.logs import histories_of
from recsmith.training.batches import make_examples

LENGTHS = np.array([1, 0, 25, 7, 10, 11, 3, 0])


@pytest.fixture
def interactions():
    """Histories of 0 to 25 items, all items distinct, so that an item names its position."""
    indptr = np.concatenate([[0], np.cumsum(LENGTHS)]).astype(np.int64)
    items = np.arange(indptr[-1], dtype=np.int32)
    return Interactions(Histories(indptr, items), len(LENGTHS), len(items), ordered=True)


def test_sequences_predict_every_interaction_exactly_once_an_epoch(interactions):
    examples = make_examples("sequences", interactions, batch_size=2, device="cpu", length=10)
    for number in (1, 2, 3):
        epoch = examples.epoch(0, number)
        batches = list(epoch.batches)
        predicted = Counter(int(item) for batch in batches for item in batch.positives)
        assert predicted == Counter(range(57))
        assert len(batches) == epoch.steps
        assert epoch.positives == 57


def test_sequences_give_each_position_the_item_before_it_and_pad_on_the_right(interactions):
    first = set(np.cumsum(LENGTHS) - LENGTHS)
    for batch in make_examples("sequences", interactions, batch_size=3, device="cpu", length=10).epoch(0, 1).batches:
        assert batch.inputs.shape[1] <= 10
        for inputs, targets in zip(batch.inputs.tolist(), batch.targets.tolist(), strict=True):
            real = sum(target >= 0 for target in targets)
            assert all(target == -1 for target in targets[real:])
            assert not any(inputs[real:])
            expected = [0 if target in first else target for target in targets[:real]]  # item i - 1 is input i
            assert expected == inputs[:real]


def test_sequences_name_the_example_of_every_positive(interactions):
    for batch in make_examples("sequences", interactions, batch_size=3, device="cpu", length=10).epoch(0, 1).batches:
        owner = np.searchsorted(interactions.histories.indptr, batch.positives.numpy(), side="right") - 1
        assert owner.tolist() == batch.user[batch.position_user].tolist()


def test_histories_longer_than_a_window_are_cut_elsewhere_in_every_epoch(interactions):
    examples = make_examples("sequences", interactions, batch_size=64, device="cpu", length=10)
    cuts = {tuple(sorted(next(examples.epoch(0, number).batches).inputs[:, 0].tolist())) for number in range(1, 9)}
    assert len(cuts) > 1


def test_windows_of_similar_length_share_a_batch():
    lengths = np.random.default_rng(0).integers(1, 50, 400)
    indptr = np.concatenate([[0], np.cumsum(lengths)])
    log = Interactions(Histories(indptr, np.zeros(indptr[-1], np.int32)), 400, 1, ordered=True)
    batches = make_examples("sequences", log, batch_size=20, device="cpu", length=50).epoch(0, 1).batches
    computed = sum(batch.inputs.numel() for batch in batches)
    assert computed < 1.15 * indptr[-1]


def test_pairs_hold_every_interaction_once_and_shuffled(interactions):
    batches = list(make_examples("pairs", interactions, batch_size=8, device="cpu").epoch(0, 1).batches)
    pairs = [(int(u), int(i)) for batch in batches for u, i in zip(batch.user, batch.positives, strict=True)]
    rows, items = interactions.histories.rows.tolist(), interactions.histories.item_num.tolist()
    assert sorted(pairs) == sorted(zip(rows, items, strict=True))
    assert pairs != list(zip(rows, items, strict=True))


def test_user_rows_equal_the_matrix_and_leave_empty_users_out(interactions):
    matrix = interactions.histories.matrix(interactions.items).toarray()
    users = []
    for batch in make_examples("user_rows", interactions, batch_size=4, device="cpu").epoch(0, 1).batches:
        assert (batch.rows.numpy() == matrix[batch.user.numpy()]).all()
        assert batch.rows[batch.position_user, batch.positives].all()
        users += batch.user.tolist()
    assert sorted(users) == [0, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("kind", ["sequences", "pairs", "user_rows"])
def test_seed_and_epoch_alone_decide_the_order(interactions, kind):
    def order(seed, number):
        examples = make_examples(kind, interactions, batch_size=3, device="cpu", length=10)
        return [batch.positives.tolist() for batch in examples.epoch(seed, number).batches]

    assert order(1, 2) == order(1, 2)
    assert order(1, 2) != order(1, 3)
    assert order(1, 2) != order(2, 2)


def test_histories_without_an_order_are_shuffled_anew_in_every_epoch_and_lose_nothing():
    lists = [list(range(30)), [5, 6, 7]]
    log = Interactions(histories_of(lists), users=2, items=30, ordered=False)
    source = make_examples("sequences", log, batch_size=2, device="cpu", length=40)

    def epoch(number):
        (batch,) = source.epoch(1, number).batches
        return next(row for row in batch.targets.tolist() if -1 not in row)

    first, second = epoch(1), epoch(2)
    assert sorted(first) == sorted(second) == list(range(30))
    assert first != second
    assert first != list(range(30))
    assert epoch(1) == first


def test_every_kind_of_example_brings_moments_ratings_and_weights_along():
    """Items name their position; moment, rating and weight follow from it."""
    lists = [np.arange(3), np.arange(3, 4), np.arange(4, 11)]
    histories = histories_of(lists, [row + 1 for row in lists])
    place = np.arange(11)
    histories = replace(histories, timestamp=place * 10, weight=(place + 100).astype(np.float32))
    log = Interactions(histories, 3, 11, ordered=True)
    for kind in ("pairs", "sequences", "user_rows"):
        for batch in make_examples(kind, log, batch_size=2, device="cpu", length=4).epoch(0, 1).batches:
            assert (batch.positives + 100).tolist() == batch.weights.tolist()
            if kind == "pairs":
                assert (batch.positives + 1).tolist() == batch.values.tolist()
            if kind == "sequences":
                opened = torch.where(batch.inputs > 0, batch.inputs - 1, batch.targets.clamp_min(0))
                assert (10 * opened).tolist() == batch.times.tolist()


def test_repeats_in_a_row_are_one_positive_of_their_summed_weight():
    histories = replace(histories_of([[2, 1, 2]]), weight=np.array([1.0, 5.0, 3.0], np.float32))
    log = Interactions(histories, 1, 4, ordered=True)
    (batch,) = make_examples("user_rows", log, batch_size=2, device="cpu").epoch(0, 1).batches
    assert (batch.positives.tolist(), batch.weights.tolist()) == ([1, 2], [5.0, 4.0])


def test_without_order_weights_are_shuffled_with_their_items():
    histories = replace(histories_of([np.arange(9)]), weight=np.arange(9, dtype=np.float32))
    log = Interactions(histories, 1, 9, ordered=False)
    (batch,) = make_examples("sequences", log, batch_size=2, device="cpu", length=20).epoch(0, 1).batches
    assert batch.positives.tolist() != list(range(9))
    assert batch.positives.tolist() == batch.weights.tolist()
    assert batch.times is None
