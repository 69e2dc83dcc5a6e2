"""What a plugin of a test breaks, with the built-in ones beside it."""

from dataclasses import replace

import pytest

from recsmith.testing.conformance import checks_of, run_check
from recsmith.wiring.plugins import load_plugins


@pytest.fixture(scope="session")
def built_in():
    return load_plugins(only=["recsmith"])


@pytest.fixture
def broken(built_in):
    """The checks that a spec breaks, and what is said of it."""

    def found(kind, spec):
        registry = built_in.registry
        specs = {**registry.specs, kind: {**registry.specs[kind], spec.name: spec}}
        beside = replace(built_in, registry=replace(registry, specs=specs))
        outcomes = [run_check(beside, kind, spec.name, check) for check in checks_of(kind)]
        return {outcome.check: outcome.detail for outcome in outcomes if outcome.state == "broken"}

    return found
