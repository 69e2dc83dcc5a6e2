import numpy as np
from recsmith_eigenrec import EigenRecConfig, EigenRecModel, TruncatedSVD

from recsmith.testing.conformance import Conformance
from recsmith.testing.logs import groups_fold


class TestEigenRec(Conformance):
    plugin = "model.eigenrec"


def test_one_factor_per_group_ranks_the_own_group_first():
    fold = groups_fold()  # item i is of group i % 4; user u likes the 15 items of group u % 4
    model = EigenRecModel(EigenRecConfig(factors=4), seed=0)
    model.fit(fold.train)
    first = model.scores(fold.holdout.requests).argsort(axis=1)[:, -15:]
    assert (first % 4 == fold.holdout.requests.user_num[:, None] % 4).all()


def test_the_projection_is_that_of_the_exact_decomposition():
    matrix = groups_fold().train.histories.matrix(60)
    exact = np.linalg.svd(matrix.toarray()).Vh[:4]
    assert np.allclose(matrix @ exact.T @ exact, TruncatedSVD(4).fit(matrix).predict(matrix), atol=1e-4)
