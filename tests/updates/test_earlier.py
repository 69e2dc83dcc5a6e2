"""An artifact in the numbers of a later fold answers as it serves."""

import numpy as np
import pytest

from recsmith.artifacts.load import load_artifact
from recsmith.contracts.data import ABSENT, Requests
from recsmith.data.fold import numbered
from recsmith.inference.ranking import rank
from recsmith.testing.logs import histories_of
from recsmith.updates.earlier import Earlier
from recsmith.updates.task import renumbering


@pytest.fixture(scope="module")
def fold(frame, read):
    """All rows: items and users that the artifacts do not know are among them."""
    dataset, _ = read(frame)
    return numbered(dataset, np.ones(len(dataset), bool))


@pytest.mark.parametrize("name", ["walked", "linear", "joined"])
def test_the_lists_are_those_that_the_artifact_recommends(name, fold, request):
    """The recommender is asked by identifiers; known users, new ones, unknown items and empty histories are asked."""
    recommender = load_artifact(request.getfixturevalue(name))
    numbers = renumbering(recommender.catalogue, fold)
    earlier = Earlier.of(recommender.ensemble, recommender.catalogue.counts, numbers, mask_seen=True, rating=False)
    users = np.arange(0, fold.train.users, 2, dtype=np.int32)
    lists = [fold.train.histories.of(user).tolist() for user in users]
    unheard = [fold.item_ids.tolist().index(name) for name in ("t28", "t29")]
    asked = Requests(np.append(users, [ABSENT, ABSENT]).astype(np.int32), histories_of([*lists, [], unheard]))
    items, _ = rank(earlier, asked, 10, items=fold.train.items, mask_seen=True)
    named = [tuple(fold.item_ids[row[row != ABSENT]]) for row in items]
    ids = [None if user == ABSENT else str(fold.user_ids[user]) for user in asked.user_num]
    histories = [list(fold.item_ids[asked.histories.of(row)]) for row in range(len(asked))]
    answers = recommender.recommend(ids, histories)
    for mine, answer, history in zip(named, answers, histories, strict=True):
        # A known user's recorded history is left out too; here it is part of the history that is given.
        assert mine == tuple(item for item in answer.items if item not in history)
    assert "t28" not in {item for row in named for item in row}


def test_of_ratings_what_came_later_is_predicted_as_the_mean_of_the_others(linear, fold):
    recommender = load_artifact(linear)
    numbers = renumbering(recommender.catalogue, fold)
    earlier = Earlier.of(recommender.ensemble, recommender.catalogue.counts, numbers, mask_seen=True, rating=True)
    later = np.isin(fold.item_ids, ["t28", "t29"])
    scores = earlier.scores(fold_requests(fold))
    assert np.allclose(scores[:, later], scores[:, ~later].mean(axis=1, keepdims=True))


def fold_requests(fold):
    return Requests(np.arange(5, dtype=np.int32), fold.train.histories.take(np.arange(5)))
