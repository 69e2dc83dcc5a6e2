"""A configuration of another study, carried into the space of this one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from recsmith.contracts.config import Choice
from recsmith.contracts.errors import SpaceError
from recsmith.contracts.space import NONE
from recsmith.search.suggest import pick

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from recsmith.contracts.domains import Scalar
    from recsmith.contracts.space import OptionNode, Parameter, SearchSpace

ROOT = "model"  # the path of a space's first choice


@dataclass(frozen=True)
class Carried:
    """A point of the space, and what had to change to make it one."""

    configuration: Choice
    point: dict[str, Scalar]  # live parameters by full path, as `suggest` would name them
    moved: tuple[str, ...]  # "path: old became new"


def carry(space: SearchSpace, configuration: Choice) -> Carried:
    """The point of the space nearest to a configuration: what it does not hold moves to the nearest value.

    A parameter that the configuration lacks, and a choice among options of which its own is none, take the default.

    Raises:
        SpaceError: its model is not in the space.
    """
    if configuration.name not in space.root.options:
        raise SpaceError(f"{ROOT}: {configuration.name!r} is not in this search space.")
    old = flat(configuration)
    picker = _Remembered(old)
    found = pick(space.root, picker)
    new = flat(found)
    moved = tuple(
        f"{path}: {old[path]!r} became {value!r}" for path, value in new.items() if old.get(path, value) != value
    )
    return Carried(found, picker.picked, moved)


def flat(configuration: Choice, path: str = ROOT) -> dict[str, Any]:
    """Every value and every choice of a configuration, by full path."""
    return {path: configuration.name, **dict(_leaves(configuration.params, f"{path}.{configuration.name}"))}


def _leaves(params: Mapping[str, Any], path: str) -> Iterator[tuple[str, Any]]:
    for name, value in params.items():
        below = f"{path}.{name}"
        if not isinstance(value, dict):
            yield below, value
        elif set(value) == set(Choice.model_fields):
            yield from flat(Choice.model_validate(value), below).items()
        else:
            yield from _leaves(value, below)


class _Remembered:
    """Picks what was recorded, as near as the domain allows."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values
        self.picked: dict[str, Scalar] = {}

    def value(self, node: Parameter) -> Scalar:
        wanted = self._values.get(node.path, node.default)
        self.picked[node.path] = value = node.domain.nearest(wanted)
        return value

    def option(self, node: OptionNode) -> str:
        wanted = str(self._values.get(node.path, NONE))
        self.picked[node.path] = name = wanted if wanted in node.options else node.default
        return name
