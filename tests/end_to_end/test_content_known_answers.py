"""Each modality alone comes near the oracle on new items, by encoders that are frozen and by ones that learn.

The log is `recsmith.testing.content_logs`: a hidden kind decides who likes what, and picture, sound and text show it
each. Share: NDCG@10 on new items, as a part of that of the oracle that knows the kinds; `pytest -m slow -s` prints it.
"""

from __future__ import annotations

import pytest

from recsmith.contracts.config import Choice
from recsmith.data.feature_cache import FeatureCache
from recsmith.evaluation.judge import judge
from recsmith.search.threads import threads_for
from recsmith.study.prepare import learn, prepare
from recsmith.testing.content_logs import Oracle, chance, content_fold, kinds_of
from recsmith.wiring.plugins import load_plugins

pytestmark = pytest.mark.slow

FROZEN = [
    ("text", "tfidf", {}),
    ("text", "word_vectors", {}),
    ("text", "static_embedding", {}),
    ("text", "transformer", {}),
    ("picture", "image_statistics", {}),
    ("picture", "efficientnet", {}),
    ("sound", "audio_statistics", {}),
    ("sound", "musicnn", {}),
]
QUICK = {"learning_rate": 5e-3}
LEARNING = [
    ("text", "text_cnn", 20, {"training": QUICK, "tower": {"encoder_rate": 1.0, "id_dropout": 0.5}}),
    ("picture", "image_cnn", 10, {"tower": {"id_dropout": 0.5}}),
    ("sound", "audio_cnn", 16, {"tower": {"id_dropout": 0.5}}),
]
IDS = [("popularity", None), ("item_knn", None), ("ease", None), ("ials", None), ("two_tower", 6)]


@pytest.fixture(scope="module")
def registry():
    return load_plugins(only=["recsmith"]).registry


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    folder = tmp_path_factory.mktemp("content")
    return content_fold(folder), FeatureCache(folder / "features")


@pytest.fixture(scope="module")
def oracle(log, registry):
    fold, _ = log
    return ndcg(Oracle(kinds_of(fold)), fold, registry)


def ndcg(model, fold, registry):
    return judge(model, fold, ["ndcg@10"], registry, scenario="cold_item").figures["ndcg@10"]


def reached(registry, log, model, params, epochs=None):
    """NDCG@10 after the last epoch."""
    fold, cache = log
    if epochs is not None:
        usual = registry.config("models", Choice(name=model)).training.model_dump()
        params = {**params, "training": {**usual, **params.get("training", {}), "epochs": epochs}}
    prepared = prepare(Choice(name=model, params=params), fold, registry, seed=1, cache=cache)
    with threads_for(1):
        for _ in learn(prepared, fold.train):
            pass
    return ndcg(prepared.serving, fold, registry)


@pytest.mark.parametrize(("column", "encoder", "settings"), FROZEN)
def test_a_frozen_encoder_reaches_four_fifths_of_the_oracle(registry, log, oracle, column, encoder, settings):
    content = {"encoders": {column: {"name": encoder, "params": settings}}}
    share = reached(registry, log, "content_knn", {"content": content}) / oracle
    print(f"{column} {encoder} (frozen, content_knn): {share:.2f} of the oracle's {oracle:.3f}")  # noqa: T201
    assert share >= 0.8


@pytest.mark.parametrize(("column", "encoder", "epochs", "settings"), LEARNING)
def test_an_encoder_that_learns_reaches_four_fifths_of_the_oracle(
    registry, log, oracle, column, encoder, epochs, settings
):
    content = {"encoders": {column: {"name": encoder}}}
    share = reached(registry, log, "two_tower", {"content": content, **settings}, epochs) / oracle
    print(f"{column} {encoder} (learnt with two_tower): {share:.2f} of the oracle's {oracle:.3f}")  # noqa: T201
    assert share >= 0.8


@pytest.mark.parametrize(("model", "epochs"), IDS)
def test_identities_alone_stay_at_chance(registry, log, model, epochs):
    fold, _ = log
    by_chance = chance(fold)
    found = reached(registry, log, model, {}, epochs)
    print(f"{model}: {found:.3f}, chance {by_chance:.3f}")  # noqa: T201
    assert found < 1.4 * by_chance
