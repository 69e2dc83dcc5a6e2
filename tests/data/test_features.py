"""Item features: fitted on training items only, joined in one matrix, cached whole or not at all."""

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from recsmith.contracts.config import Choice
from recsmith.contracts.content import ItemContent, UserContent
from recsmith.contracts.data import Column, State
from recsmith.contracts.errors import PlanError
from recsmith.contracts.plan import DataPlan
from recsmith.contracts.plugins import EncoderSpec, RawTables
from recsmith.data.dataset import load_dataset
from recsmith.data.feature_cache import Entry, FeatureCache
from recsmith.data.features import encode
from recsmith.data.fold import numbered
from recsmith.data.whitening import Whitened
from recsmith.testing.logs import fold_of, histories_of

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


def fused(fold, content, registry, cache=None):
    return dense(encode(fold, content, registry, cache).content.fused)


def entries(folder):
    return sorted(folder.glob("*.safetensors"))


def events(cache):
    return [use.event for use in cache.uses()]


def test_encoders_learn_from_the_items_of_the_training_rows_only(fold, registry):
    encoded = encode(fold, CONTENT, registry)
    matrix = dense(encoded.content.fused)
    assert matrix.shape[0] == 4
    assert np.array_equal(matrix[:3], fused(numbered_without_the_cold_item(fold), CONTENT, registry))
    assert set(encoded.encoders) == {"kind", "price"}


def numbered_without_the_cold_item(fold):
    columns = tuple(column.take(np.arange(3)) for column in fold.items)
    return replace(fold, items=columns, train=replace(fold.train, items=3))


@pytest.mark.parametrize("content", [CONTENT, ItemContent(encoders={"kind": Choice(name="category")})])
def test_the_cache_gives_back_the_same_features_and_a_fitted_encoder(fold, registry, tmp_path, content):
    cache = FeatureCache(tmp_path)
    first = fused(fold, content, registry, cache)
    assert events(cache) == ["encoded"] * len(content.encoders)
    second = encode(fold, content, registry, cache)
    assert events(cache)[len(content.encoders) :] == ["read"] * len(content.encoders)
    assert np.array_equal(first, dense(second.content.fused))
    columns = {column.name: column for column in fold.items}
    again = {name: encoder.features(columns[name]) for name, encoder in second.encoders.items()}
    fuser = registry.build("fusers", content.fuser, registry.context())
    assert np.array_equal(dense(fuser.fuse(again)), first)


def test_a_damaged_entry_is_made_anew(fold, registry, tmp_path, caplog):
    cache = FeatureCache(tmp_path)
    first = fused(fold, CONTENT, registry, cache)
    files = entries(tmp_path)
    files[0].write_bytes(files[0].read_bytes()[:-3])
    whole = bytearray(files[1].read_bytes())
    whole[-1] ^= 1
    files[1].write_bytes(whole)
    assert np.array_equal(first, fused(fold, CONTENT, registry, cache))
    assert caplog.text.count("made anew") == 4  # looked at before and after the lock is taken
    assert events(cache) == ["encoded"] * 4
    encode(fold, CONTENT, registry, cache)
    assert events(cache)[4:] == ["read"] * 2
    assert entries(tmp_path) == files


def test_other_settings_or_rows_are_another_entry_and_nothing_else_is(fold, registry, tmp_path):
    cache = FeatureCache(tmp_path)
    encode(fold, CONTENT, registry, cache)
    renamed = replace(fold, items=tuple(replace(column, name=f"{column.name}2") for column in fold.items))
    choices = {f"{name}2": choice for name, choice in CONTENT.encoders.items()}
    encode(renamed, ItemContent(encoders=choices), registry, cache)
    assert len(entries(tmp_path)) == 2
    encode(fold, ItemContent(encoders={"kind": Choice(name="category", params={"min_count": 1})}), registry, cache)
    assert len(entries(tmp_path)) == 3
    encode(numbered_without_the_cold_item(fold), CONTENT, registry, cache)
    assert len(entries(tmp_path)) == 5


class Lengths:
    """Learns nothing: the length of a text, and that there is one. Counts the texts that it read."""

    read = 0

    def fit(self, column):
        pass

    def features(self, column):
        texts = column.values.tolist()  # noqa: PD011
        Lengths.read += len(texts)
        rows = [[0, 0] if text is None else [len(text), 1] for text in texts]
        return np.array(rows, np.float32).reshape(-1, 2)

    def state(self):
        return State()

    def load(self, state):
        pass


def test_an_encoder_that_learns_nothing_reads_every_value_once_whatever_fold_it_stands_in(registry, tmp_path):
    spec = EncoderSpec(
        name="lengths", api_version=1, build=lambda *_: Lengths(), roles=frozenset({"text"}), fitted=False
    )
    named = {**registry.specs, "encoders": {**registry.specs["encoders"], "lengths": spec}}
    registry = replace(registry, specs=named, origins={**registry.origins, ("encoders", "lengths"): "encoder.lengths"})
    cache, content = FeatureCache(tmp_path), ItemContent(encoders={"text": Choice(name="lengths")})
    Lengths.read = 0
    for texts, read in ((["a", "bb", None, "a"], 3), (["bb", "ccc", "a", None], 4), (["ccc", "a", "bb", "ccc"], 4)):
        values = np.array(texts, object)
        fold = fold_of(histories_of([[0, 1], [2]]), [[3], [3]], items=4, columns=(Column("text", "text", values),))
        expected = [[0, 0] if text is None else [len(text), 1] for text in texts]
        assert encode(fold, content, registry, cache).content.features["text"].tolist() == expected
        assert Lengths.read == read
    assert [(use.event, use.rows) for use in cache.uses()] == [("encoded", 3), ("encoded", 1), ("read", 4)]
    assert len(entries(tmp_path)) == 1


def test_the_cache_keeps_its_limit_and_drops_what_was_not_used_for_longest(tmp_path):
    one = Entry(np.ones((100, 10), np.float32), State())
    cache = FeatureCache(tmp_path, limit=14_000)  # bytes: three entries
    for key in ("a", "b", "c"):
        cache.keep(key, one)
        os.utime(cache.place(key), ns=(0, "abc".index(key)))
    assert cache.recall("a") is not None
    cache.keep("d", one)
    assert [path.stem for path in entries(tmp_path)] == ["a", "c", "d"]
    FeatureCache(tmp_path, limit=1).keep("e", one)
    assert [path.stem for path in entries(tmp_path)] == ["e"]


def test_processes_that_want_one_entry_at_once_make_it_once(tmp_path):
    script = (
        "import sys; from pathlib import Path; import numpy as np\n"
        "from recsmith.contracts.config import Choice; from recsmith.contracts.content import ItemContent\n"
        "from recsmith.data.feature_cache import FeatureCache; from recsmith.data.features import encode\n"
        "from recsmith.testing.logs import groups_fold; from recsmith.wiring.plugins import load_plugins\n"
        "content = ItemContent(encoders={'title': Choice(name='topics')})\n"
        "encode(groups_fold(items=600), content, load_plugins().registry, FeatureCache(Path(sys.argv[1])))\n"
    )
    running = [subprocess.Popen([sys.executable, "-c", script, str(tmp_path)]) for _ in range(3)]
    assert [process.wait(120) for process in running] == [0, 0, 0]
    assert sorted(events(FeatureCache(tmp_path))) == ["encoded", "read", "read"]


def test_texts_of_interactions_are_averaged_over_items_and_users(registry):
    lists = [[0, 1], [1, 2]]
    fold = fold_of(histories_of(lists), [[3], [3]], items=4)
    words = np.array(["red", "blue", None, "blue"], object)
    fold = replace(fold, train=replace(fold.train, context=(Column("review", "text", words),)))
    choices = {"log.review": Choice(name="tfidf", params={"min_df": 1})}
    by_item = encode(fold, ItemContent(encoders=choices), registry)
    by_user = encode(fold, UserContent(encoders=choices), registry)
    assert fold.columns["items"] == {"log.review": "text"} == fold.columns["users"]
    blue_red = dense(by_item.content.features["log.review"])
    assert np.array_equal(blue_red, [[0, 1], [1, 0], [1, 0], [0, 0]])
    assert np.array_equal(dense(by_user.content.features["log.review"]), [[0.5, 0.5], [1, 0]])


def test_whitened_features_have_zero_mean_and_unit_variance_over_the_training_items(registry):
    rng = np.random.default_rng(0)
    vectors = (rng.normal(size=(300, 6)) @ rng.normal(size=(6, 6)) + 3).astype(np.float32)
    vectors[7] = 0
    columns = (Column("given", "vector", vectors),)
    fold = fold_of(histories_of([np.arange(200)]), [[250]], items=300, columns=columns)
    content = ItemContent(encoders={"given": Choice(name="vector")}, whiten=32)
    encoded = encode(fold, content, registry)
    white = encoded.content.features["given"]
    known = np.delete(white[:200], 7, axis=0)
    assert white.shape == (300, 6)
    assert not white[7].any()
    assert np.allclose(known.mean(axis=0), 0, atol=1e-5)
    assert np.allclose(known.T @ known / len(known), np.eye(6), atol=1e-4)
    assert np.array_equal(encoded.encoders["given"].features(columns[0]), white)
    again = Whitened(registry.build("encoders", Choice(name="vector"), registry.context()), 32)
    again.load(encoded.encoders["given"].state())
    assert np.array_equal(again.features(columns[0]), white)


def test_no_encoder_gives_no_features(fold, registry):
    assert fused(fold, ItemContent(), registry).shape == (4, 0)


@pytest.mark.parametrize(
    ("encoders", "says"),
    [({"kinds": Choice(name="category")}, "Did you mean 'kind'"), ({"kind": Choice(name="number")}, "reads number")],
)
def test_a_wrong_column_or_role_is_said(fold, registry, encoders, says):
    with pytest.raises(PlanError, match=says):
        encode(fold, ItemContent(encoders=encoders), registry)
