"""PureSVD against numpy's singular value decomposition of the dense log."""

import numpy as np
import pytest

from recsmith.contracts.data import ABSENT, Histories, Interactions, Requests
from recsmith_plugins.blocks.recency import NO_DECAY
from recsmith_plugins.models import pure_svd
from recsmith_plugins.models.pure_svd import PureSVD, PureSVDConfig

USERS, ITEMS = 50, 14
RNG = np.random.default_rng(8)
INDPTR = np.concatenate([[0], np.cumsum(RNG.integers(2, 10, USERS))])
WEIGHT = (0.5 + RNG.random(INDPTR[-1])).astype(np.float32)
LOG = Interactions(
    Histories(INDPTR, RNG.integers(0, ITEMS, INDPTR[-1]).astype(np.int32), weight=WEIGHT), USERS, ITEMS, ordered=True
)
KNOWN = Requests(np.arange(USERS, dtype=np.int32), LOG.histories, histories_are_training=True)


def fitted(seed=0, **settings):
    model = PureSVD(PureSVDConfig(history_half_life=NO_DECAY, **settings), seed)
    model.fit(LOG)
    return model


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("scaling", [-0.5, 0.4, 1.0])
def test_scores_project_the_history_on_the_largest_singular_vectors(scaling, weighted, monkeypatch):
    monkeypatch.setattr(pure_svd, "SHARE", 1.0)
    taken = LOG.histories.matrix(ITEMS, weighted=weighted).toarray().astype(np.float64)
    directions = np.linalg.svd(taken * np.linalg.norm(taken, axis=0) ** (scaling - 1.0))[2][:5]
    expected = LOG.histories.matrix(ITEMS).toarray() @ directions.T @ directions
    found = fitted(factors=5, scaling=scaling, weighted=weighted).scores(KNOWN)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_factors_are_a_share_of_the_catalogue_at_most():
    assert fitted(factors=500).items.shape == (ITEMS, ITEMS // 4)


def test_with_as_many_factors_as_items_the_history_comes_back(monkeypatch):
    monkeypatch.setattr(pure_svd, "SHARE", 1.0)
    found = fitted(factors=500).scores(KNOWN)
    np.testing.assert_allclose(found, LOG.histories.matrix(ITEMS).toarray(), atol=1e-4)


def test_a_new_user_with_the_history_of_a_known_one_is_served_alike():
    model = fitted(factors=5)
    new = Requests(np.full(USERS, ABSENT, np.int32), LOG.histories)
    assert np.array_equal(model.scores(new), model.scores(KNOWN))


def test_recent_interactions_weigh_more():
    model = PureSVD(PureSVDConfig(factors=5, history_half_life=1.0), 0)
    model.fit(LOG)
    asked = Requests(np.array([ABSENT], np.int32), Histories(np.array([0, 2]), np.array([3, 5], np.int32)))
    projection = model.items @ model.items.T
    np.testing.assert_allclose(model.scores(asked)[0], 0.5 * projection[3] + projection[5], atol=1e-6)
