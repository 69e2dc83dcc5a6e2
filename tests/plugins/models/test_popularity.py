"""Popularity: counts that were made by hand."""

import numpy as np

from recsmith.contracts.data import ABSENT, Histories, Interactions, Requests
from recsmith_plugins.models.popularity import Popularity, PopularityConfig

DAY = 86_400
# day 0: items 0, 0, 1; day 9: item 1; day 10 ("now"): item 2
ITEMS = np.array([0, 1, 0, 1, 2], np.int32)
STAMPS = np.array([0, 0, 0, 9 * DAY, 10 * DAY])
REQUEST = Requests(np.array([ABSENT], np.int32), Histories(np.array([0, 0]), np.zeros(0, np.int32)))


def counts(stamps=STAMPS, **settings):
    histories = Histories(np.array([0, 2, 5]), ITEMS, stamps)
    model = Popularity(PopularityConfig(**settings))
    model.fit(Interactions(histories, 2, 4, ordered=True))
    return model.scores(REQUEST)[0].tolist()


def test_all_time_counts_every_interaction():
    assert counts() == [2, 2, 1, 0]


def test_a_window_counts_what_is_younger_than_it():
    assert counts(weighting="window", days=5.0) == [0, 1, 1, 0]


def test_a_half_life_halves_what_is_that_old():
    expected = [2 * 0.5**10, 0.5**10 + 0.5, 1.0, 0.0]
    np.testing.assert_allclose(counts(weighting="half_life", days=1.0), expected, rtol=1e-6)


def test_without_timestamps_all_weightings_count_all_time():
    assert counts(stamps=None, weighting="window", days=5.0) == [2, 2, 1, 0]
