"""New users are scored by an adapted head, known ones by the model."""

import numpy as np
import pytest
import torch

from recsmith.contracts.data import ABSENT, Histories, Requests, State
from recsmith.inference.adapt import SUPPORT, with_adaptation

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

    def head(self):
        return {"vector": self.users.mean(dim=0)}

    def head_score(self, params, items):
        return self.items[items] @ params["vector"]

    def head_scores(self, params):
        return params["vector"] @ self.items.T


class Ridge:
    """The vector near the prior that explains the support best, in closed form, by the score's own gradient."""

    def adapt(self, score, params, support):
        prior = params["vector"]
        rows = torch.func.jacrev(lambda vector: score({"vector": vector}, support.items))(prior)  # [S, D]
        weighted = rows * support.mask[:, None]
        gram = weighted.T @ rows + PENALTY * torch.eye(D)
        residual = weighted.T @ (support.values - rows @ prior)
        return {"vector": prior + torch.linalg.solve(gram, residual)}


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
    scores = with_adaptation(model, Ridge()).scores(asked)
    np.testing.assert_array_equal(model.scores(asked.take(np.array([0, 2]))), scores[[0, 2]])
    np.testing.assert_allclose(ridge_by_numpy(model, [4, 5], [1, 1]), scores[1], atol=1e-5)
    np.testing.assert_allclose(ridge_by_numpy(model, [7, 8, 9], [1, 1, 1]), scores[3], atol=1e-5)
    assert scores.dtype == np.float32


def test_ratings_in_the_history_are_what_a_head_is_adapted_to():
    model = Linear()
    scores = with_adaptation(model, Ridge()).scores(requests([ABSENT], [[4, 5]], [[5.0, 1.0]]))
    np.testing.assert_allclose(ridge_by_numpy(model, [4, 5], [5, 1]), scores[0], atol=1e-5)


def test_a_new_user_without_history_gets_the_head_that_all_start_from():
    model = Linear()
    scores = with_adaptation(model, Ridge()).scores(requests([ABSENT, ABSENT], [[], [3]]))
    np.testing.assert_allclose((model.items @ model.users.mean(dim=0)).numpy(), scores[0], atol=1e-6)


def test_only_the_most_recent_interactions_count():
    model = Linear()
    long = np.random.default_rng(0).integers(0, ITEMS, SUPPORT + 50).tolist()
    scores = with_adaptation(model, Ridge()).scores(requests([ABSENT], [long]))
    np.testing.assert_allclose(ridge_by_numpy(model, long[-SUPPORT:], [1] * SUPPORT), scores[0], atol=1e-4)


def test_neither_the_order_nor_the_company_of_users_matters():
    rng = np.random.default_rng(3)
    users = rng.integers(ABSENT, 4, 300).astype(np.int32)
    asked = requests(users, [rng.integers(0, ITEMS, rng.integers(0, 9)).tolist() for _ in users])
    model = with_adaptation(Linear(), Ridge())
    scores = model.scores(asked)
    order = rng.permutation(300)
    np.testing.assert_allclose(scores[order], model.scores(asked.take(order)), atol=1e-5)


def test_state_is_that_of_the_model_itself():
    model = Linear()
    adapted = with_adaptation(model, Ridge())
    assert adapted.state().values == {"kept": 1}
    adapted.load(State({}, {"users": np.zeros((4, D), np.float32)}))
    assert not model.users.any()
    assert adapted.scores(requests([1], [[]])).tolist() == [[0.0] * ITEMS]


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
