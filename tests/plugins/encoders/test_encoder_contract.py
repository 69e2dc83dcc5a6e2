"""The built-in encoders together; what each promises is held by tests/testing/test_content_conformance.py."""

from typing import get_args

from recsmith.contracts.data import Role
from recsmith.wiring.plugins import installed, load_plugins


def test_every_role_has_one_default_encoder():
    names = [point.name for point in installed() if point.name.startswith("encoder.")]
    specs = load_plugins(only=names).registry.specs["encoders"]
    usual = sorted(role for spec in specs.values() for role in spec.default_for)
    assert usual == sorted(get_args(Role))
