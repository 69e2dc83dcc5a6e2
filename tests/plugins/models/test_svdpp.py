"""SVD++ against its formula written as loops, scikit-learn's ridge regression and planted answers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import sparse
from sklearn.linear_model import Ridge

from recsmith.contracts.config import Choice
from recsmith.contracts.data import ABSENT, Histories, Interactions, Requests
from recsmith.contracts.plugins import BuildContext, RatingScale
from recsmith.contracts.training import Batch, Training
from recsmith.training.loop import epochs
from recsmith_plugins.losses.squared_error import SquaredError
from recsmith_plugins.models.svdpp import SVDPP, Sums, SVDPPConfig, build
from recsmith_plugins.schedules.constant import Constant

USERS, ITEMS = 60, 20


def rated(lists, values, items=ITEMS):
    indptr = np.concatenate([[0], np.cumsum([len(row) for row in lists])])
    flat, value = np.concatenate(lists).astype(np.int32), np.concatenate(values).astype(np.float32)
    return Interactions(Histories(indptr, flat, value=value), len(lists), items, ordered=False)


@pytest.fixture
def log():
    rng = np.random.default_rng(4)
    lists = [rng.permutation(ITEMS)[: rng.integers(1, 9)] for _ in range(USERS)]
    lists[3] = np.array([2, 7, 2])  # a repeat
    return rated(lists, [rng.integers(1, 6, len(row)) for row in lists])


def built(log, **settings):
    value = log.histories.value
    scale = RatingScale(float(value.mean()), float(value.min()), float(value.max()))
    parts = {"losses": SquaredError(), "schedules": Constant()}
    context = BuildContext(log.users, log.items, log.counts, 1, "cpu", lambda kind, _: parts[kind], ratings=scale)
    return build(SVDPPConfig(**settings), context), context


def trained(log, rounds, **settings):
    training = Training(batch_size=64, learning_rate=2e-2, loss=Choice(name="squared_error"))
    model, context = built(log, training=training, **settings)
    for _ in epochs(model, training, "pairs", log, context, total_epochs=rounds):
        pass
    return model


def all_pairs(log):
    items = torch.from_numpy(log.histories.item_num.astype(np.int64))
    return Batch(torch.from_numpy(log.histories.rows), items, values=torch.from_numpy(log.histories.value))


def tables(model):
    return {name: value.detach().double().numpy() for name, value in model.module.state_dict().items()}


def naive(model, log, user, item):
    """The formula of the paper for one rating."""
    part = tables(model)
    taken = sorted(set(log.histories.of(user).tolist()))
    vector = part["user.weight"][user] + sum(part["rated"][other] for other in taken) / np.sqrt(len(taken))
    offsets = part["scale"][0] + part["user_bias"][user] + part["item_bias"][item]
    return offsets + part["item.weight"][item] @ vector


def test_predictions_are_the_papers_formula_in_training_and_in_serving(log):
    model = trained(log, 2, dim=5, init_std=0.3)
    batch = all_pairs(log)
    with torch.no_grad():
        learning = model.logits(model.queries(batch), batch.positives[:, None]).squeeze(1).numpy()
    rows, items = log.histories.rows, log.histories.item_num
    formula = [naive(model, log, user, item) for user, item in zip(rows, items, strict=True)]
    np.testing.assert_allclose(learning, formula, atol=1e-5)
    serving = model.scores(Requests(np.arange(USERS, dtype=np.int32), log.histories, histories_are_training=True))
    np.testing.assert_allclose(serving[rows, items], np.clip(formula, 1, 5), atol=1e-5)


def test_logits_of_chosen_items_are_columns_of_all_logits(log):
    model = trained(log, 1, dim=4)
    queries = torch.randn(2, 5, generator=torch.Generator().manual_seed(0))
    items = torch.tensor([[1, 2], [19, 3]])
    torch.testing.assert_close(model.logits(queries, items), model.logits(queries, None).gather(1, items))
    torch.testing.assert_close(model.logits(queries, items[0]), model.logits(queries, None)[:, items[0]])


def test_the_gradient_of_sums_agrees_with_finite_differences():
    matrix = sparse.random_array((5, 7), density=0.5, rng=np.random.default_rng(0)).tocsr()
    table = torch.randn(7, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True)
    torch.testing.assert_close(Sums.apply(table, matrix), torch.from_numpy(matrix.toarray()) @ table)
    assert torch.autograd.gradcheck(lambda x: Sums.apply(x, matrix), (table,))


def test_over_all_ratings_the_term_is_the_penalty_on_every_vector_and_offset(log):
    """The exponent says how it grows with the ratings that a user or an item has."""
    model = trained(log, 2, dim=3, init_std=0.3, l2=5.0, l2_exponent=0.3, bias_l2=2.0)
    term = float(model.regularised(all_pairs(log))[1].detach())
    part, expected = tables(model), 0.0
    implicit = np.stack([naive_sum(part["rated"], log.histories.of(user)) for user in range(USERS)])
    for counts, vectors, offsets in (
        (log.histories.lengths, np.hstack([part["user.weight"], implicit]), part["user_bias"]),
        (log.counts, part["item.weight"], part["item_bias"]),
    ):
        known = counts > 0
        l2 = 5.0 * (counts / counts.mean()) ** 0.3
        expected += (l2 * (vectors**2).sum(1))[known].sum() + 2.0 * (offsets**2)[known].sum()
    assert term == pytest.approx(expected, rel=1e-5)


def naive_sum(table, items):
    distinct = np.unique(items)
    return table[distinct].sum(0) / np.sqrt(len(distinct))


def test_a_new_users_vector_and_offset_are_the_ridge_solution_beside_what_it_rated_at_all(log):
    model = trained(log, 5, dim=3, init_std=0.3, l2=2.0, l2_exponent=0.0, bias_l2=2.0)
    items, value = np.array([1, 4, 9], np.int32), np.array([5, 4, 1], np.float32)
    part = tables(model)
    implicit = naive_sum(part["rated"], items)
    usual = part["scale"][0] + part["item_bias"] + part["item.weight"] @ implicit
    design = np.hstack([part["item.weight"], np.ones((ITEMS, 1))])
    own = Ridge(alpha=2.0, fit_intercept=False).fit(design[items], value - usual[items]).coef_
    request = Requests(np.array([ABSENT], np.int32), Histories(np.array([0, 3]), items, value=value))
    np.testing.assert_allclose(model.scores(request)[0], np.clip(usual + design @ own, 1, 5), atol=1e-5)


def test_what_somebody_rated_tells_of_a_taste_without_any_rating():
    """Two tastes rate items of their own kind high and two common ones oppositely; new users come without ratings."""
    rng = np.random.default_rng(0)
    lists, values = [], []
    for user in range(USERS):
        kind = user % 2
        lists.append(np.concatenate([2 + kind * 9 + rng.permutation(9)[:5], [0, 1]]))
        values.append(np.concatenate([np.full(5, 4.0), [5.0, 1.0] if kind else [1.0, 5.0]]))
    model = trained(rated(lists, values), 25, dim=4, l2=1.0)
    bare = Histories(np.array([0, 4, 8]), np.array([2, 3, 4, 5, 11, 12, 13, 14], np.int32))
    scores = model.scores(Requests(np.full(2, ABSENT, np.int32), bare))[:, :2]
    assert scores[0, 1] - scores[0, 0] > 1.5
    assert scores[1, 0] - scores[1, 1] > 1.5  # the ratings themselves lie 4 apart


def test_it_serves_before_it_has_seen_any_rows_and_does_not_learn_then(log):
    model, _ = built(log)
    requests = Requests(np.array([ABSENT, 2], np.int32), log.histories.take(np.array([0, 2])))
    assert np.isfinite(model.scores(requests)).all()
    with pytest.raises(RuntimeError, match="graph"):
        model.queries(all_pairs(log))


def test_a_state_serves_without_the_scale_of_any_ratings(log):
    model = trained(log, 2, dim=4)
    context = BuildContext(USERS, ITEMS, log.counts, 9, "cpu", lambda *_: None)
    other = SVDPP(model.config, context)
    other.load(model.state())
    requests = Requests(np.array([ABSENT, 2], np.int32), log.histories.take(np.array([0, 2])))
    np.testing.assert_array_equal(other.scores(requests), model.scores(requests))
