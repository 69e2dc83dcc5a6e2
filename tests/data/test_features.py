"""Item features: fitted on training items only, joined in one matrix, cached whole or not at all."""

import logging

import numpy as np
import pandas as pd
import pytest

from recsmith.contracts.config import Choice
from recsmith.contracts.content import ItemContent
from recsmith.contracts.errors import PlanError
from recsmith.contracts.plan import DataPlan
from recsmith.contracts.plugins import RawTables
from recsmith.data.dataset import load_dataset
from recsmith.data.features import encode_items
from recsmith.data.fold import numbered

CONTENT = ItemContent(encoders={"kind": Choice(name="category"), "price": Choice(name="number")})


def dense(matrix):
    return matrix if isinstance(matrix, np.ndarray) else matrix.toarray()


@pytest.fixture
def fold(registry):
    log = pd.DataFrame({"user": list("aabb"), "item": ["0", "1", "0", "2"]})
    kinds = ["red", "blue", "red", "unseen"]
    items = pd.DataFrame({"item": list("0123"), "kind": kinds, "price": [1.0, 2.0, 3.0, 1000.0]})
    dataset = load_dataset(DataPlan(source="x"), registry, RawTables(log, items=items))
    return numbered(dataset, np.ones(4, bool), with_table=True)


def test_encoders_learn_from_the_items_of_the_training_rows_only(fold, registry):
    matrix, encoders = encode_items(fold, CONTENT, registry, seed=0)
    known, _ = encode_items(numbered_without_the_cold_item(fold), CONTENT, registry, seed=0)
    assert matrix.shape[0] == 4
    assert np.array_equal(dense(matrix)[:3], dense(known))
    assert set(encoders) == {"kind", "price"}


def numbered_without_the_cold_item(fold):
    from dataclasses import replace

    columns = tuple(column.take(np.arange(3)) for column in fold.items)
    return replace(fold, items=columns, train=replace(fold.train, items=3))


@pytest.mark.parametrize("content", [CONTENT, ItemContent(encoders={"kind": Choice(name="category")})])
def test_the_cache_gives_back_the_same_features_and_a_fitted_encoder(fold, registry, tmp_path, caplog, content):
    caplog.set_level(logging.INFO)
    first, _ = encode_items(fold, content, registry, seed=0, cache=tmp_path)
    assert "hit" not in caplog.text
    second, encoders = encode_items(fold, content, registry, seed=0, cache=tmp_path)
    assert caplog.text.count("hit") == len(content.encoders)
    assert np.array_equal(dense(first), dense(second))
    columns = {column.name: column for column in fold.items}
    again = {name: encoder.features(columns[name]) for name, encoder in encoders.items()}
    fuser = registry.build("fusers", content.fuser, registry.context())
    assert np.array_equal(dense(fuser.fuse(again)), dense(first))


def test_a_damaged_entry_is_made_anew(fold, registry, tmp_path, caplog):
    first, _ = encode_items(fold, CONTENT, registry, seed=0, cache=tmp_path)
    files = sorted(tmp_path.iterdir())
    files[0].write_bytes(files[0].read_bytes()[:-3])
    whole = bytearray(files[1].read_bytes())
    whole[-1] ^= 1
    files[1].write_bytes(whole)
    again, _ = encode_items(fold, CONTENT, registry, seed=0, cache=tmp_path)
    assert np.array_equal(dense(first), dense(again))
    assert caplog.text.count("made anew") == 2
    caplog.clear()
    caplog.set_level(logging.INFO)
    encode_items(fold, CONTENT, registry, seed=0, cache=tmp_path)
    assert caplog.text.count("hit") == 2
    assert sorted(tmp_path.iterdir()) == files


def test_other_settings_are_another_entry(fold, registry, tmp_path):
    encode_items(fold, CONTENT, registry, seed=0, cache=tmp_path)
    encode_items(fold, CONTENT, registry, seed=1, cache=tmp_path)
    assert len(list(tmp_path.iterdir())) == 4


def test_no_encoder_gives_no_features(fold, registry):
    assert encode_items(fold, ItemContent(), registry, seed=0)[0].shape == (4, 0)


@pytest.mark.parametrize(
    ("encoders", "says"),
    [({"kinds": Choice(name="category")}, "Did you mean 'kind'"), ({"kind": Choice(name="number")}, "reads number")],
)
def test_a_wrong_column_or_role_is_said(fold, registry, encoders, says):
    with pytest.raises(PlanError, match=says):
        encode_items(fold, ItemContent(encoders=encoders), registry, seed=0)
