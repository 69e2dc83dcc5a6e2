"""The registered metrics, and a model whose scores are written down."""

import numpy as np
import pytest

from recsmith.contracts.data import Fold, Histories, Holdout, Interactions, Requests, State
from recsmith.wiring.plugins import installed, load_plugins


class Written:
    """Scores by user number out of a table; the last row is for users that training has not seen."""

    def __init__(self, table):
        self.table = np.asarray(table, np.float32)

    def scores(self, requests):
        return self.table[requests.user_num]

    def state(self):
        return State({}, {"table": self.table})

    def load(self, state):
        self.table = state.arrays["table"]


@pytest.fixture(scope="session")
def registry():
    names = [point.name for point in installed() if point.name.startswith("metric.")]
    return load_plugins(only=names).registry


@pytest.fixture(scope="session")
def written():
    return Written


@pytest.fixture(scope="session")
def make_fold():
    """A fold of histories and targets, lists of item numbers each; `users` names who asks."""

    def made(histories, targets, *, users=None, items=6, values=None):
        train = _lists(histories)
        asks = np.arange(len(targets)) if users is None else np.array(users)
        requests = Requests(asks.astype(np.int32), train.take(np.maximum(asks, 0)))
        followed = _lists(targets)
        holdout = Holdout(requests, followed.indptr, followed.item_num, values)
        rows = Interactions(train, len(histories), items, ordered=True)
        return Fold(rows, holdout, np.arange(len(histories)).astype(str), np.arange(items).astype(str))

    return made


def _lists(lists):
    indptr = np.concatenate([[0], np.cumsum([len(part) for part in lists])]).astype(np.int64)
    return Histories(indptr, np.array([item for part in lists for item in part], np.int32))
