"""What the settings of every plugin promise, whatever its kind."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pydantic import ValidationError

from recsmith.contracts.errors import RecsmithError
from recsmith.testing.conformance.subject import Violation, expect

if TYPE_CHECKING:
    from recsmith.contracts.data import Role
    from recsmith.testing.conformance.subject import Subject

# Columns of every role, so that a choice per column has something to choose for.
COLUMNS: dict[str, dict[str, Role]] = {"items": {"title": "text", "genre": "category"}, "users": {}}


def name_can_stand_in_a_path(subject: Subject) -> None:
    """The name is lower-case letters, digits and underscores: it becomes part of parameter names."""
    name = subject.spec.name
    expect(re.fullmatch(r"[a-z][a-z0-9_]*", name), f"{name!r} is not a name such as 'item_knn'")


def defaults_lie_inside_their_domains(subject: Subject) -> None:
    """Every setting has a default, and it lies inside its domain."""
    try:
        subject.tree(COLUMNS)
    except RecsmithError as error:
        raise Violation(str(error)) from error


def settings_are_closed_and_frozen(subject: Subject) -> None:
    """An unknown setting is refused, and no setting can be changed after it was checked."""
    config = subject.spec.config
    expect(config.model_config.get("extra") == "forbid", f"{config.__name__} takes unknown settings: use Config")
    expect(config.model_config.get("frozen"), f"{config.__name__} can be changed: use Config")


def settings_survive_json(subject: Subject) -> None:
    """Settings written as JSON and read again are equal, at every corner of the space."""
    config = subject.spec.config
    for label, choice in subject.corners(COLUMNS):
        try:
            settings = config.model_validate(choice.params)
        except ValidationError as error:
            said = error.errors()[0]["msg"]
            raise Violation(f"{label}: its own space leads to settings that it refuses: {said}") from error
        again = config.model_validate_json(settings.model_dump_json())
        expect(again == settings, f"{label}: {settings} became {again}")


CHECKS = (
    name_can_stand_in_a_path,
    defaults_lie_inside_their_domains,
    settings_are_closed_and_frozen,
    settings_survive_json,
)
