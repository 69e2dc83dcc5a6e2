"""What all models of fields have in common: pieces, new users and items, ratings, state, memory."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from recsmith.contracts.config import Choice
from recsmith.contracts.data import ABSENT, Column, Requests
from recsmith.contracts.plugins import Sizes
from recsmith.contracts.training import Batch
from recsmith.evaluation.judge import judge
from recsmith.study.memory import sizes_of
from recsmith.study.prepare import learn, prepare
from recsmith.testing.logs import fold_of, groups_fold, histories_of, ratings_fold
from recsmith.wiring.plugins import load_plugins
from recsmith_plugins.blocks import field_model

MODELS = ["neumf", "fm", "wide_deep", "deepfm", "dcn_v2", "mlp"]
VARIANTS = [*((name, {}) for name in MODELS), ("dcn_v2", {"structure": "stacked", "rank": 8})]


@pytest.fixture(scope="module")
def registry():
    return load_plugins(only=["recsmith"]).registry


def made(registry, fold, name, *, epochs=8, **settings):
    spec = registry.spec("models", name)
    training = spec.config().training.model_dump()
    training |= {"epochs": epochs, "batch_size": 128, "learning_rate": 0.01, "weight_decay": 1e-2}
    training |= settings.pop("training", {})
    if fold.items:
        settings["content"] = {"encoders": {"category": {"name": "category"}}}
    if fold.users:
        settings["user_content"] = {"encoders": {"kind": {"name": "category"}}}
    return prepare(Choice(name=name, params={**settings, "training": training}), fold, registry, seed=0)


def learnt(registry, fold, name, **settings):
    prepared = made(registry, fold, name, **settings)
    for _ in learn(prepared, fold.train):
        pass
    return prepared


@pytest.mark.parametrize(("name", "settings"), VARIANTS)
def test_pieces_give_the_logits_and_the_gradients_of_the_whole(registry, monkeypatch, name, settings):
    fold = groups_fold(users=8, items=12, length=2)
    model = made(registry, fold, name, **settings).model
    model.graph(fold.train)
    items = torch.tensor([[3, 5, 3], [0, 11, 7]])
    batch = Batch(user=torch.tensor([2, 6]), positives=torch.tensor([0, 1]))

    def logits():
        model.module.eval()
        model.module.zero_grad()
        queries = model.queries(batch)
        found = [model.logits(queries, items), model.logits(queries, items[0]), model.logits(queries, None)]
        sum((part * torch.arange(part.numel()).view_as(part)).sum() for part in found).backward()
        gradients = [parameter.grad for parameter in model.module.parameters() if parameter.grad is not None]
        return found, torch.cat([gradient.flatten() for gradient in gradients])

    (each, shared, everything), gradient = logits()
    torch.testing.assert_close(each, everything.gather(1, items))
    torch.testing.assert_close(shared, everything[:, items[0]])
    monkeypatch.setattr(field_model, "CHUNK", 5)
    for cells, kept in ((1, 1 << 25), (1, 0), (model.module.network.cells * 6 + 1, 0)):
        monkeypatch.setattr(field_model, "CELLS", cells)
        monkeypatch.setattr(field_model, "KEPT", kept)
        parts, again = logits()
        torch.testing.assert_close(parts, [each, shared, everything])
        torch.testing.assert_close(again, gradient)


@pytest.mark.parametrize("name", MODELS)
def test_a_query_does_not_see_the_item_of_its_own_pair(registry, name):
    """What the user's other items are changes a query; what the pair's own item is does not."""
    fold = groups_fold(users=8, items=12, length=2)
    model = made(registry, fold, name).model
    model.graph(fold.train)
    own, other = (int(item) for item in fold.train.histories.of(3))
    tables = [part.recent.weight for part in model.module.modules() if getattr(part, "recent", None) is not None]
    model.module.eval()

    def query():
        return model.queries(Batch(user=torch.tensor([3]), positives=torch.tensor([own]))).detach()

    before = query()
    with torch.no_grad():
        for table in tables:
            table[own] += 1.0
    assert tables
    assert torch.equal(query(), before)
    with torch.no_grad():
        for table in tables:
            table[other] += 1.0
    assert not torch.equal(query(), before)


@pytest.mark.parametrize("name", MODELS)
def test_a_new_user_is_served_by_recent_items_and_a_new_item_by_its_columns(registry, name):
    fold = groups_fold()
    groups = 4
    rows = [row[row >= groups] for row in (fold.train.histories.of(user) for user in range(80))]
    targets = [[user % groups] for user in range(80)]  # items 0 to 3, one of each group, are new
    fold = fold_of(histories_of(rows), targets, items=60, columns=fold.items[:1])
    model = learnt(registry, fold, name, epochs=15).serving
    scores = model.scores(Requests(np.full(80, ABSENT, np.int32), fold.holdout.requests.histories))
    own = np.arange(80) % groups
    assert np.mean(scores[:, :groups].argmax(1) == own) > 0.95
    scores[fold.train.histories.rows, fold.train.histories.item_num] = -np.inf
    assert np.mean(scores[:, groups:].argmax(1) % groups == own) > 0.95


@pytest.fixture(scope="module")
def meetings():
    """The category of the user and that of the item decide together; neither alone tells anything.

    Items 0 to 15 are new: whoever knows identities only stands at chance, 1 in 4. Also the category that each likes.
    """
    rng = np.random.default_rng(0)
    users, items, groups = 120, 64, 4
    kinds, kind = np.arange(items) % groups, np.arange(users) % groups
    liked = (3 * kind + 1) % groups  # of each user
    lists = [rng.permutation(np.arange(16, items)[kinds[16:] == want])[:5] for want in liked]
    item_column = Column("category", "category", np.array([f"c{k}" for k in kinds], dtype=object))
    user_column = Column("kind", "category", np.array([f"u{k}" for k in kind], dtype=object))
    fold = fold_of(histories_of(lists), [[want] for want in liked], items=items, columns=(item_column,))
    return replace(fold, users=(user_column,)), liked


@pytest.mark.parametrize("name", MODELS)
def test_what_decides_is_who_meets_what(registry, meetings, name):
    fold, liked = meetings
    fields = {"history": "none", "id_dropout": 0.5}
    scores = learnt(registry, fold, name, epochs=15, fields=fields).serving.scores(fold.holdout.requests)[:, :16]
    assert np.mean(scores.argmax(1) % 4 == liked) > 0.95


@pytest.mark.parametrize(("name", "params"), [("popularity", {}), ("bpr_mf", {"training": {"epochs": 5}})])
def test_whoever_knows_identities_only_cannot_tell_new_items_apart(registry, meetings, name, params):
    fold, liked = meetings
    prepared = prepare(Choice(name=name, params=params), fold, registry, seed=0)
    for _ in learn(prepared, fold.train):
        pass
    scores = prepared.serving.scores(fold.holdout.requests)[:, :16]
    assert np.mean(scores.argmax(1) % 4 == liked) < 0.5


@pytest.mark.parametrize("name", MODELS)
def test_ratings_start_at_their_mean_and_stay_in_their_range(registry, name):
    fold = ratings_fold(users=100)
    values = fold.train.histories.value
    settings = {"training": {"loss": {"name": "squared_error"}, "weight_decay": 0.1}}
    prepared = made(registry, fold, name, epochs=10, **settings)
    assert float(prepared.model.module.bias.detach()) == pytest.approx(float(values.mean()))

    def error():
        return judge(prepared.serving, fold, ["mae"], registry, scenario="rating").figures["mae"]

    start = error()
    best = min(error() for _ in learn(prepared, fold.train))
    assert best < 0.6 * start  # the mean's error is .73, the noise alone .24
    scores = prepared.model.scores(fold.holdout.requests)
    assert values.min() <= scores.min() < scores.max() <= values.max()
    other = made(registry, replace(fold, train=replace(fold.train)), name)  # built to rank, as an artifact builds it
    other.model.load(prepared.model.state())
    assert np.array_equal(other.model.scores(fold.holdout.requests), scores)
    with torch.no_grad():
        other.model.module.bias += 10.0
    assert np.unique(other.model.scores(fold.holdout.requests)) == pytest.approx([values.max()])


@pytest.mark.parametrize("name", MODELS)
def test_memory_is_no_less_than_what_learning_holds(registry, name):
    """Value, gradient and two moments of every parameter, for the defaults and a large configuration."""
    fold = groups_fold(users=300, items=200)
    spec = registry.spec("models", name)
    for settings in ({}, {"dim": 64, "fields": {"length": 200}}):
        prepared = made(registry, fold, name, **settings)
        numbers = sum(parameter.numel() for parameter in prepared.model.module.parameters())
        stated = spec.memory(prepared.config, sizes_of(fold))
        assert stated >= 16 * numbers
    config = spec.config()
    small, large = (spec.memory(config, Sizes(n, n // 10, 50 * n, 500)) for n in (10**6, 10**7))
    assert 5 < large / small < 10.5  # linear in the log, beside what is fixed


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("how", [{"sparse": True}, {"precision": "bfloat16"}])
def test_tables_may_learn_sparsely_and_in_lower_precision(registry, name, how):
    fold = groups_fold(users=40, items=24, length=5)
    losses = [done.loss for done in learn(made(registry, fold, name, epochs=12, training=how), fold.train)]
    assert losses[-1] < 0.8 * losses[0]


def test_a_log_without_an_order_is_remembered(registry):
    fold = groups_fold(users=8, items=12, length=2)
    model = made(registry, fold, "fm", fields={"history": "recent", "half_life": 1.0}).model
    turned = Requests(np.array([3], np.int32), histories_of([[1, 5, 9][::-1]]))
    straight = Requests(np.array([3], np.int32), histories_of([[1, 5, 9]]))
    for ordered in (True, False):
        model.graph(replace(fold.train, ordered=ordered))
        other = made(registry, fold, "fm", fields={"history": "recent", "half_life": 1.0}).model
        other.load(model.state())
        assert np.allclose(other.scores(turned), other.scores(straight), atol=1e-6) != ordered
