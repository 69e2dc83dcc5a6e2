"""Encoded columns of new items come from the encoders of old."""

import numpy as np
import pytest
from scipy import sparse

from recsmith.contracts.config import Choice
from recsmith.contracts.plan import DataPlan
from recsmith.data.dataset import load_dataset
from recsmith.data.fold import numbered
from recsmith.study.prepare import learn, prepare
from recsmith.study.refit import member_of
from recsmith.testing.demo import demo_log
from recsmith.updates.features import grown_content
from recsmith.updates.growth import Renumbering

ENCODERS = {
    "title": Choice(name="tfidf", params={"min_df": 1}),
    "category": Choice(name="category"),
    "price": Choice(name="number"),
}


@pytest.fixture(scope="module")
def log(registry, tmp_path_factory):
    folder = demo_log(tmp_path_factory.mktemp("shop"), users=60, items=40, length=8)
    return load_dataset(DataPlan(source=str(folder)), registry)


def dense(matrix):
    return matrix.toarray() if sparse.issparse(matrix) else matrix


@pytest.mark.parametrize("whiten", [0, 32])
def test_old_rows_stay_and_new_rows_are_what_the_fitted_encoder_makes_of_them(log, registry, whiten):
    """Oracle: the encoder that was fitted on the old items, asked for the whole column."""
    whole = numbered(log, np.ones(len(log), bool))
    some = whole.item_ids[::2]
    old = numbered(log, np.isin(log.item_ids[log.item], some))
    choice = Choice(name="content_knn", params={"content": {"encoders": ENCODERS, "whiten": whiten}})
    prepared = prepare(choice, old, registry, seed=0)
    for _ in learn(prepared, old.train):
        pass
    numbers = Renumbering(
        np.searchsorted(whole.user_ids, old.user_ids),
        np.searchsorted(whole.item_ids, old.item_ids),
        whole.train.users,
        whole.train.items,
    )
    grown = grown_content(member_of(choice, prepared), whole, numbers, registry)["items"]
    assert grown.content.rows == whole.train.items
    columns = {column.name: column for column in whole.items}
    for name, encoder in prepared.content["items"].encoders.items():
        before = dense(prepared.content["items"].content.features[name])
        after = dense(grown.content.features[name])
        assert np.array_equal(after[numbers.items], before), name
        assert np.allclose(after, dense(encoder.features(columns[name])), atol=1e-5), name
