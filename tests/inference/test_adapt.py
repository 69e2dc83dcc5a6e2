"""New users are scored by an adapted head, known ones by the model."""

import numpy as np
import pytest
import torch

from recsmith.contracts.data import ABSENT, Histories, Requests, State
from recsmith.contracts.plugins import RatingScale
from recsmith.inference.adapt import SUPPORT, AdaptedModel
from recsmith.wiring.plugins import load_plugins

D = 3
ITEMS = 20
PENALTY = 0.5


class Linear:
    """Scores by a vector per user; new users start from the mean vector."""

    def __init__(self):
        generator = torch.Generator().manual_seed(0)
        self.users = torch.randn(4, D, generator=generator)
        self.items = torch.randn(ITEMS, D, generator=generator)

    def scores(self, requests):
        return (self.users[torch.from_numpy(requests.user_num).long()] @ self.items.T).numpy()

    def state(self):
        return State({"kept": 1}, {"users": self.users.numpy()})

    def load(self, state):
        self.users = torch.from_numpy(state.arrays["users"])

    def inputs(self, items):
        return self.items if items is None else self.items[items]

    def head(self):
        return {"output": self.users.mean(dim=0)}

    def head_score(self, params, inputs):
        return inputs @ params["output"]


class Ridge:
    """The vector near the prior that explains the support best, in closed form."""

    def adapt(self, _, params, support):
        prior, rows = params["output"], support.inputs
        weighted = rows * support.weight[:, None]
        gram = weighted.T @ rows + PENALTY * torch.eye(D)
        return {"output": prior + torch.linalg.solve(gram, weighted.T @ (support.values - rows @ prior))}


def adapted(model, ratings=None):
    """The model with a ridge around it."""
    counts = np.ones(ITEMS, np.int64)
    context = load_plugins(only=["model.popularity"]).registry.context(item_counts=counts, users=4, ratings=ratings)
    return AdaptedModel(model, Ridge(), context)


def ridge_by_numpy(model, items, values):
    prior, rows = model.users.mean(dim=0).numpy(), model.items.numpy()[items]
    gram = rows.T @ rows + PENALTY * np.eye(D)
    vector = prior + np.linalg.solve(gram, rows.T @ (np.asarray(values) - rows @ prior))
    return model.items.numpy() @ vector


def requests(users, lists, values=None):
    indptr = np.concatenate([[0], np.cumsum([len(items) for items in lists])]).astype(np.int64)
    items = np.array([item for part in lists for item in part], np.int32)
    value = None if values is None else np.array([v for part in values for v in part], np.float32)
    return Requests(np.array(users, np.int32), Histories(indptr, items, value=value))


def test_known_users_are_scored_by_the_model_and_new_ones_by_the_exact_ridge_answer():
    model = Linear()
    asked = requests([2, ABSENT, 0, ABSENT], [[1], [4, 5], [], [7, 8, 9]])
    scores = adapted(model).scores(asked)
    np.testing.assert_array_equal(model.scores(asked.take(np.array([0, 2]))), scores[[0, 2]])
    np.testing.assert_allclose(ridge_by_numpy(model, [4, 5], [1, 1]), scores[1], atol=1e-5)
    np.testing.assert_allclose(ridge_by_numpy(model, [7, 8, 9], [1, 1, 1]), scores[3], atol=1e-5)
    assert scores.dtype == np.float32


def test_where_ratings_are_predicted_a_head_is_adapted_to_those_of_the_history():
    model = Linear()
    asked = requests([ABSENT], [[4, 5]], [[5.0, 1.0]])
    scores = adapted(model, RatingScale(3.0, -100.0, 100.0)).scores(asked)
    np.testing.assert_allclose(ridge_by_numpy(model, [4, 5], [5, 1]), scores[0], atol=1e-5)
    np.testing.assert_allclose(ridge_by_numpy(model, [4, 5], [1, 1]), adapted(model).scores(asked)[0], atol=1e-5)
    narrow = adapted(model, RatingScale(0.5, 0.0, 1.0)).scores(asked)
    np.testing.assert_array_equal(np.clip(scores, 0.0, 1.0), narrow)


def test_a_new_user_without_history_gets_the_head_that_all_start_from():
    model = Linear()
    scores = adapted(model).scores(requests([ABSENT, ABSENT], [[], [3]]))
    np.testing.assert_allclose((model.items @ model.users.mean(dim=0)).numpy(), scores[0], atol=1e-6)


def test_only_the_most_recent_interactions_count():
    model = Linear()
    long = np.random.default_rng(0).integers(0, ITEMS, SUPPORT + 50).tolist()
    scores = adapted(model).scores(requests([ABSENT], [long]))
    np.testing.assert_allclose(ridge_by_numpy(model, long[-SUPPORT:], [1] * SUPPORT), scores[0], atol=1e-4)


def test_neither_the_order_nor_the_company_of_users_matters():
    rng = np.random.default_rng(3)
    users = rng.integers(ABSENT, 4, 300).astype(np.int32)
    asked = requests(users, [rng.integers(0, ITEMS, rng.integers(0, 9)).tolist() for _ in users])
    model = adapted(Linear())
    scores = model.scores(asked)
    order = rng.permutation(300)
    np.testing.assert_allclose(scores[order], model.scores(asked.take(order)), atol=1e-5)


def test_state_is_that_of_the_model_itself():
    model = Linear()
    around = adapted(model)
    assert around.state().values == {"kept": 1}
    around.load(State({}, {"users": np.zeros((4, D), np.float32)}))
    assert not model.users.any()
    assert around.scores(requests([1], [[]])).tolist() == [[0.0] * ITEMS]


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
