"""Figures at several k differ by what the model was told, and by nothing else."""

import numpy as np

from recsmith.contracts.data import ABSENT, Requests
from recsmith.evaluation.shots import FirstShots
from recsmith.inference.ranking import rank
from recsmith.testing.logs import histories_of


class CountsWhatItIsTold:
    """Likes the items that it is told of, the later the more; nothing else."""

    def scores(self, requests):
        scores = np.zeros((len(requests), 6), np.float32)
        histories = requests.histories
        scores[histories.rows, histories.item_num] = np.arange(1, len(histories.item_num) + 1)
        return scores


def test_a_model_is_told_the_first_interactions_only():
    requests = Requests(np.full(2, ABSENT, np.int32), histories_of([[4, 1, 2], [5]]))
    expected = {0: [[], []], 1: [[4], [5]], 2: [[1, 4], [5]], 9: [[1, 2, 4], [5]]}
    for shots, items in expected.items():
        scores = FirstShots(CountsWhatItIsTold(), shots).scores(requests)
        assert items == [np.flatnonzero(row).tolist() for row in scores]


def test_items_of_the_whole_history_are_left_out_however_few_are_told():
    requests = Requests(np.full(1, ABSENT, np.int32), histories_of([[4, 1, 2]]))
    for shots in (0, 1, 3):
        ranked, _ = rank(FirstShots(CountsWhatItIsTold(), shots), requests, 6, items=6, mask_seen=True)
        assert sorted(item for item in ranked[0].tolist() if item != ABSENT) == [0, 3, 5]
