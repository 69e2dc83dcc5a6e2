"""Every built-in plugin keeps every promise of its kind: it comes through the same door as anybody's."""

import pytest

from recsmith.testing.conformance import checks_of, offered, run_check
from recsmith.wiring.plugins import BUILT_IN, installed

NAMES = [point.name for point in installed() if point.dist.name == BUILT_IN]
ONE_OF_EACH = {"model.popularity", "model.ease", "model.bpr_mf", "model.sasrec", "model.mult_vae", "model.bias"}


def marked(name):
    """Models take long together: the fast suite tries one of each kind of training and examples."""
    zoo = name.startswith("model.") and name not in ONE_OF_EACH
    return pytest.param(name, marks=pytest.mark.zoo if zoo else ())


@pytest.mark.parametrize("plugin", [marked(name) for name in NAMES])
def test_it_keeps_every_promise(built_in, plugin):
    offers = offered(built_in, plugin)
    assert offers
    outcomes = [run_check(built_in, kind, name, check) for kind, name in offers for check in checks_of(kind)]
    assert {outcome.check: outcome.detail for outcome in outcomes if outcome.state == "broken"} == {}
