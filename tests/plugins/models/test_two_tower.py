"""The two-tower model serves users and items that training has not seen; so does VBPR."""

from dataclasses import replace

import numpy as np
import pytest

from recsmith.contracts.config import Choice
from recsmith.contracts.data import ABSENT, Column, Requests
from recsmith.evaluation.judge import judge
from recsmith.study.prepare import learn, prepare
from recsmith.testing.logs import fold_of, histories_of
from recsmith.wiring.plugins import load_plugins

GROUPS, ITEMS, COLD, USERS = 4, 80, 16, 120
BEST = np.mean(1 / np.log2(np.arange(2, 6)))  # one target among the four new items of a user's group, in any order


@pytest.fixture(scope="module")
def registry():
    return load_plugins(only=["recsmith"]).registry


@pytest.fixture(scope="module")
def fold():
    """User u likes group u % 4; the last 16 items are new; the category tells every item's group."""
    rng = np.random.default_rng(0)
    kinds = np.arange(ITEMS) % GROUPS
    warm, new = np.arange(ITEMS - COLD), np.arange(ITEMS - COLD, ITEMS)
    lists = [rng.permutation(warm[kinds[warm] == user % GROUPS])[:8] for user in range(USERS)]
    targets = [rng.permutation(new[kinds[new] == user % GROUPS])[:1] for user in range(USERS)]
    category = np.array([f"group {kind}" for kind in kinds], dtype=object)
    return fold_of(histories_of(lists), targets, items=ITEMS, columns=(Column("category", "category", category),))


def learnt(registry, fold, model, content, **settings):
    encoders = {"encoders": {"category": {"name": "category"}}} if content else {"encoders": {}}
    training = registry.config("models", Choice(name=model)).training.model_dump() | {
        "epochs": 8,
        "learning_rate": 0.02,
        "batch_size": 16 if model == "two_tower" else 64,
        "weight_decay": 1e-3,
    }
    choice = Choice(name=model, params={"content": encoders, "training": training, **settings})
    prepared = prepare(choice, fold, registry, seed=0)
    for _ in learn(prepared, fold.train):
        pass
    return prepared


def ndcg(prepared, fold, registry):
    return judge(prepared.serving, fold, ["ndcg@4"], registry, scenario="cold_item").figures["ndcg@4"]


@pytest.mark.parametrize(
    ("model", "settings"),
    [
        ("two_tower", {"history": {"name": "mean"}}),
        ("two_tower", {"history": {"name": "gru"}}),
        ("two_tower", {"history": {"name": "transformer"}}),
        ("vbpr", {}),
    ],
)
def test_new_items_are_ranked_by_what_is_known_of_them(registry, fold, model, settings):
    prepared = learnt(registry, fold, model, content=True, **settings)
    assert ndcg(prepared, fold, registry) > 0.9 * BEST
    new_users = Requests(np.full(USERS, ABSENT, np.int32), fold.holdout.requests.histories)
    scores = prepared.serving.scores(new_users)[:, ITEMS - COLD :]
    own = np.arange(USERS) % GROUPS
    kinds = np.arange(ITEMS - COLD, ITEMS) % GROUPS
    assert np.mean(kinds[scores.argmax(axis=1)] == own) > 0.95


@pytest.mark.parametrize("model", ["two_tower", "vbpr"])
def test_without_content_new_items_are_ranked_by_chance(registry, fold, model):
    chance = np.mean(1 / np.log2(np.arange(2, 6))) * 4 / COLD
    assert ndcg(learnt(registry, fold, model, content=False), fold, registry) < 2 * chance


def test_user_columns_and_identities_have_a_say(registry, fold):
    """With histories that say nothing, only what is known of a user tells what to recommend."""
    kind = np.array([f"likes {user % GROUPS}" for user in range(USERS)], dtype=object)
    fold = replace(fold, users=(Column("kind", "category", kind),))
    params = {"user_content": {"encoders": {"kind": {"name": "category"}}}}
    for settings in (params, {"user_ids": True, "tower": {"id_dropout": 0.0}}):
        prepared = learnt(registry, fold, "two_tower", content=True, **settings)
        nobody = fold.holdout.requests.histories.take(np.zeros(0, np.int64))
        empty = replace(nobody, indptr=np.zeros(USERS + 1, np.int64))
        known = prepared.serving.scores(Requests(np.arange(USERS, dtype=np.int32), empty))
        best = known[:, : ITEMS - COLD].argmax(axis=1) % GROUPS
        assert np.mean(best == np.arange(USERS) % GROUPS) > 0.9


def test_frozen_epochs_leave_the_encoder_as_it_was(registry):
    rng = np.random.default_rng(0)
    words = np.array([f"word{item % GROUPS} thing" for item in range(20)], dtype=object)
    lists = [rng.permutation(20)[:6] for _ in range(20)]
    fold = fold_of(histories_of(lists), [[0]] * 20, items=20, columns=(Column("text", "text", words),))
    training = registry.config("models", Choice(name="two_tower")).training.model_dump() | {"epochs": 3}
    params = {
        "content": {"encoders": {"text": {"name": "text_cnn", "params": {"min_count": 1}}}},
        "tower": {"frozen_epochs": 2},
        "training": training,
    }
    prepared = prepare(Choice(name="two_tower", params=params), fold, registry, seed=0)

    def encoder():
        return {name: value for name, value in prepared.model.state().arrays.items() if ".learning." in name}

    before = encoder()
    assert before
    moved = [
        any(not np.array_equal(before[name], now) for name, now in encoder().items())
        for _ in learn(prepared, fold.train)
    ]
    assert moved == [False, False, True]
