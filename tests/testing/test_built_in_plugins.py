"""Every built-in plugin keeps every promise of its kind: it comes through the same door as anybody's."""

import pytest

from recsmith.testing.conformance import checks_of, offered, run_check
from recsmith.wiring.plugins import BUILT_IN, installed

NAMES = [point.name for point in installed() if point.dist.name == BUILT_IN]


@pytest.mark.parametrize("plugin", NAMES)
def test_it_keeps_every_promise(built_in, plugin):
    offers = offered(built_in, plugin)
    assert offers
    outcomes = [run_check(built_in, kind, name, check) for kind, name in offers for check in checks_of(kind)]
    assert {outcome.check: outcome.detail for outcome in outcomes if outcome.state == "broken"} == {}
