"""The one translation between a search space, Optuna's parameters and a configuration."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Protocol

from recsmith.contracts.config import Choice
from recsmith.contracts.domains import Float, Int
from recsmith.contracts.errors import SpaceError
from recsmith.contracts.space import NONE, Fixed, Group, OptionNode, Parameter

if TYPE_CHECKING:
    from collections.abc import Mapping

    from optuna.trial import Trial

    from recsmith.contracts.domains import Scalar
    from recsmith.contracts.space import AnyNode, SearchSpace


class Picker(Protocol):
    """Decides what is open in a space."""

    def value(self, node: Parameter) -> Scalar:
        """A value of the parameter."""
        ...

    def option(self, node: OptionNode) -> str:
        """The name of one of several options."""
        ...


def suggest(space: SearchSpace, trial: Trial) -> Choice:
    """Let Optuna pick one configuration; every parameter is asked for under its full path."""
    return pick(space.root, _Suggested(trial))


def defaults(space: SearchSpace) -> list[tuple[str, dict[str, Scalar]]]:
    """For each model the flat parameters of its default configuration, those that are live and no others.

    A default outside a narrowed domain moves to the nearest value.
    """
    found = []
    for model in space.root.options:
        picker = _Default(space.root, model)
        pick(space.root, picker)
        found.append((model, picker.picked))
    return found


def pick(node: OptionNode, picker: Picker) -> Choice:
    """The configuration that a picker's decisions make of a choice."""
    name = next(iter(node.options)) if len(node.options) == 1 else picker.option(node)
    return Choice(name=name, params=_fields(node.options[name], picker))


def read(space: SearchSpace, params: Mapping[str, Any]) -> Choice:
    """The configuration that recorded parameters describe.

    Raises:
        SpaceError: a parameter of the space is not among them.
    """
    return pick(space.root, _Recorded(params))


def derive_seed(seed: int, *numbers: int) -> int:
    """A seed in 0..2**31-1 that depends on all of the numbers, the same on every machine."""
    digest = hashlib.sha256(repr((seed, *numbers)).encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1


def _fields(group: Group, picker: Picker) -> dict[str, Any]:
    built = {name: _build(node, picker) for name, node in group.fields.items()}
    return {name: value for name, value in built.items() if value is not _ABSENT}


def _build(node: AnyNode, picker: Picker) -> Any:
    match node:
        case Parameter():
            return picker.value(node)
        case Fixed():
            return node.value
        case Group():
            return _fields(node, picker)
        case OptionNode():
            choice = pick(node, picker)
            return _ABSENT if choice.name == NONE else choice.model_dump()


_ABSENT = object()  # what the option "none" builds


class _Suggested:
    def __init__(self, trial: Trial) -> None:
        self._trial = trial

    def value(self, node: Parameter) -> Scalar:
        domain = node.domain
        if isinstance(domain, Int):
            high = domain.nearest(domain.high)  # Optuna warns of a bound off the grid
            return self._trial.suggest_int(node.path, domain.low, high, step=domain.step, log=domain.log)
        if isinstance(domain, Float):
            return self._trial.suggest_float(node.path, domain.low, domain.high, log=domain.log)
        value: Scalar = self._trial.suggest_categorical(node.path, list(domain.choices))  # type: ignore[assignment]
        return value

    def option(self, node: OptionNode) -> str:
        return self._trial.suggest_categorical(node.path, list(node.options))


class _Default:
    def __init__(self, root: OptionNode, model: str) -> None:
        self._root = root
        self._model = model
        self.picked: dict[str, Scalar] = {}

    def value(self, node: Parameter) -> Scalar:
        self.picked[node.path] = value = node.domain.nearest(node.default)
        return value

    def option(self, node: OptionNode) -> str:
        self.picked[node.path] = name = self._model if node is self._root else node.default
        return name


class _Recorded:
    def __init__(self, params: Mapping[str, Any]) -> None:
        self._params = params

    def value(self, node: Parameter) -> Scalar:
        return self._get(node.path)

    def option(self, node: OptionNode) -> str:
        return str(self._get(node.path))

    def _get(self, path: str) -> Scalar:
        try:
            value: Scalar = self._params[path]
        except KeyError:
            raise SpaceError(f"the recorded trial has no parameter {path!r}: it is of another search space.") from None
        return value
