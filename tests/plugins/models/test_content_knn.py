"""Content-kNN on features that can be checked by eye."""

import numpy as np
import pytest
from scipy import sparse

from recsmith.contracts.data import ABSENT, Histories, Interactions, Requests
from recsmith_plugins.models.content_knn import ContentKNN, ContentKNNConfig

FEATURES = np.array([[2, 0], [0, 3], [1, 1], [0, 0], [5, 0]], np.float32)  # item 4 was never taken, item 3 is unknown
LOG = Interactions(Histories(np.array([0, 2, 4]), np.array([0, 1, 2, 3], np.int32)), 2, 5, ordered=True)


def scores(features, *history, half_life=1000.0):
    model = ContentKNN(ContentKNNConfig(history_half_life=half_life), features, LOG.items)
    model.fit(LOG)
    histories = Histories(np.array([0, len(history)]), np.array(history, np.int32))
    return model.scores(Requests(np.array([ABSENT], np.int32), histories))[0]


@pytest.mark.parametrize("features", [FEATURES, sparse.csr_array(FEATURES)])
def test_scores_are_cosines_with_the_history_and_new_items_have_them_too(features):
    np.testing.assert_allclose(scores(features, 0), [1, 0, np.sqrt(0.5), 0, 1], atol=1e-6)


def test_recent_items_say_more():
    """Weights 1/2 and 1: the profile is (1, 2) / sqrt(5)."""
    np.testing.assert_allclose(scores(FEATURES, 0, 1, half_life=1.0)[:2], np.array([1, 2]) / np.sqrt(5), atol=1e-6)


@pytest.mark.parametrize("features", [None, FEATURES[:, :0], sparse.csr_array((5, 0), dtype=np.float32)])
def test_without_any_feature_nothing_is_like_anything(features):
    np.testing.assert_array_equal(scores(features, 0, 1), np.zeros(5, np.float32))
