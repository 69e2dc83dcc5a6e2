"""The tower: identity where training has seen a row, content where there is some, and paces of its parts."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import sparse

from recsmith.contracts.content import Content
from recsmith_plugins.blocks.content_tower import LEARNING, Tower, TowerConfig, pace
from recsmith_plugins.blocks.modalities import left
from recsmith_plugins.encoders.text_cnn import TextCNN, TextCNNConfig
from recsmith_plugins.fusers.concatenate import Concatenate, ConcatenateConfig

PLAIN = TowerConfig(id_dropout=0.0, lookalikes=0, feature_dropout=0.0, modality_dropout=0.0)
SEEN = np.array([True, True, False, False])
DENSE = np.array([[1, 0, 2], [0, 3, 0], [0, 0, 0], [1, 0, 2]], np.float32)


def content(**features):
    return Content(4, features, Concatenate(ConcatenateConfig()))


def tower(config=PLAIN, seen=SEEN, given=None, seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Tower(config, seen, given, 8)


def served(module):
    with torch.no_grad():
        return module.eval().table().numpy()


def test_a_row_that_training_has_not_seen_is_its_content_alone():
    module = tower(given=content(a=DENSE))
    table = served(module)
    with torch.no_grad():
        own = module.content(torch.arange(4)).numpy()
    assert np.array_equal(table[2:], own[2:])
    assert not table[2].any()
    assert np.allclose(table[:2] - own[:2], module.ids.weight[:2].detach().numpy(), atol=1e-7)


@pytest.mark.parametrize("projection", [False, True])
def test_lookalikes_give_their_mean_identity_by_cosine(projection):
    """Row 3 is at 0.6 and 0.8 to rows 0 and 1, row 0 at right angles to row 1, and row 2 has no content."""
    words = sparse.csr_array(np.array([[1, 0], [0, 2], [0, 0], [3, 4]], np.float32))
    settings = {"lookalikes": 2, "projection": projection}
    module = tower(replace_config(**settings), given=content(a=words))
    table, ids = served(module), module.ids.weight.detach().numpy()
    with torch.no_grad():
        own = module.content(torch.arange(4)).numpy()
    assert own.any() == projection
    expected = np.stack([ids[0], ids[1], np.zeros(8), (0.6 * ids[0] + 0.8 * ids[1]) / 1.4])
    assert np.allclose(table - own, expected, atol=1e-6)


def test_lookalikes_of_dense_columns_are_alike_in_their_deviation_from_the_mean():
    """Rows 0, 1 and 3 deviate from their mean (10, 1) by (1, 0), (-1, -1) and (0, 1)."""
    features = np.array([[11, 1], [9, 0], [0, 0], [10, 2]], np.float32)
    module = tower(replace_config(lookalikes=1, projection=False), given=content(a=features))
    assert not served(module)[2:].any()  # row 0 is at right angles, row 1 beyond
    assert np.allclose(served(module)[:2], module.ids.weight[:2].detach().numpy(), atol=1e-7)


def test_without_identities_content_is_projected_all_the_same():
    features = content(a=DENSE)
    module = tower(replace_config(id_dropout=1.0, projection=False), given=features)
    assert np.array_equal(served(module), served(tower(replace_config(id_dropout=1.0), given=features)))
    assert served(module)[3].any()


def test_sparse_features_give_the_vectors_of_dense_ones():
    weight = torch.randn(3, 8, generator=torch.Generator().manual_seed(1))
    tables = []
    for features in (DENSE, sparse.csr_array(DENSE)):
        module = tower(given=content(a=features))
        column = module.columns["c0"]
        size = DENSE[0] @ DENSE[0] * 2 + 9  # of the known rows, squared
        scale = np.sqrt(size / 3 / (1 if sparse.issparse(features) else 3))
        with torch.no_grad():
            column.weight.copy_(weight * float(scale))
        tables.append(served(module))
    assert np.allclose(tables[0], tables[1], atol=1e-6)
    assert np.allclose(tables[0][3], tables[0][0] - module.ids.weight[0].detach().numpy(), atol=1e-6)


def test_identities_are_left_out_in_training_as_often_as_asked():
    module = tower(replace_config(id_dropout=0.25), seen=np.ones(4, bool)).train()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        kept = [bool(module.vectors(torch.tensor([1])).detach().any()) for _ in range(2000)]
    assert abs(np.mean(kept) - 0.75) < 0.04


def replace_config(**changes):
    return PLAIN.model_copy(update=changes)


def test_an_identity_that_is_always_left_out_is_not_there_at_all():
    assert tower(replace_config(id_dropout=1.0), given=content(a=DENSE)).ids is None
    assert tower(seen=np.zeros(4, bool), given=content(a=DENSE)).ids is None


def test_vectors_kept_for_serving_are_dropped_when_it_learns_or_loads():
    module, other = tower(given=content(a=DENSE)), tower(given=content(a=DENSE), seed=1)
    first = served(module)
    with torch.no_grad():
        assert module.table() is module.table()
    module.load_state_dict(other.state_dict())
    assert np.array_equal(served(module), served(other))
    assert not np.array_equal(served(module), first)
    module.train()
    with torch.no_grad():
        module.ids.weight.mul_(2.0)
    assert not np.array_equal(served(module), served(other))


def test_what_is_asked_for_is_what_stands_in_the_table():
    module = tower(given=content(a=DENSE))
    rows = torch.tensor([[3, 0], [0, 1]])
    with_gradients = module.eval()(rows).detach().numpy()
    assert np.allclose(with_gradients, served(module)[rows], atol=1e-7)


def test_features_are_no_parameters_and_an_encoder_that_learns_is_a_module():
    encoder = TextCNN(TextCNNConfig(min_count=1, length=4))
    features = np.array([[2, 3, 0, 0], [2, 0, 0, 0], [0, 0, 0, 0], [2, 3, 0, 0]], np.float32)
    encoder.words = ["a", "b"]
    given = replace(content(a=DENSE, text=features), encoders={"text": encoder})
    names = set(tower(given=given).state_dict())
    assert {name.split(".")[0] for name in names} == {"ids", "columns", "learning", "fuser"}
    assert any(name.startswith(LEARNING) for name in names)


def test_the_pace_names_the_encoders_that_learn():
    config = replace_config(encoder_rate=0.1, frozen_epochs=2)
    assert [pace(config, epoch, "items.") for epoch in (1, 2, 3)] == [
        {"items.learning.": 0.0},
        {"items.learning.": 0.0},
        {"items.learning.": 0.1},
    ]


@pytest.mark.parametrize("rate", [0.3, 0.9])
def test_columns_are_left_out_as_often_as_asked_and_one_stays(rate):
    known = torch.tensor([[True, True, True], [True, False, False], [False, False, False]]).repeat(3000, 1)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        kept = left(known, rate).view(3000, 3, 3)
    assert not (kept & ~known.view(3000, 3, 3)).any()
    assert kept[:, 0].any(dim=1).all()
    assert kept[:, 1, 0].all()
    expected = 3 * (1 - rate) + rate**3  # of three columns, with the one that stays where all were drawn
    assert abs(kept[:, 0].float().sum(1).mean() - expected) < 0.05
