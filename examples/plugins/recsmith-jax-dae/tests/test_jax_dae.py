from recsmith_jax_dae import DAE, DAEConfig

from recsmith.testing.conformance import Conformance
from recsmith.testing.logs import groups_fold


class TestJaxDAE(Conformance):
    plugin = "model.jax_dae"


def test_it_tells_the_groups_apart():
    fold, model = groups_fold(), DAE(DAEConfig(dim=16, learning_rate=1e-2), seed=0)  # item i is of group i % 4
    model.fit(fold.train)
    first = model.scores(fold.holdout.requests).argsort(axis=1)[:, -15:]
    assert (first % 4 == fold.holdout.requests.user_num[:, None] % 4).all()
