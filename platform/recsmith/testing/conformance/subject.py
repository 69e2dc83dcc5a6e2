"""What a check looks at, and how it says that something does not hold."""

from __future__ import annotations

import json
import pickletools
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors.numpy import load, save
from scipy import sparse

from recsmith.contracts.config import Choice
from recsmith.contracts.data import State
from recsmith.contracts.plugins import GOALS
from recsmith.contracts.space import OptionNode, Parameter
from recsmith.search.suggest import pick
from recsmith.wiring.growth import grow_one

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from recsmith.contracts.data import Role
    from recsmith.contracts.domains import Scalar
    from recsmith.contracts.plugins import BuildContext, Kind
    from recsmith.contracts.space import AnyNode
    from recsmith.wiring.registry import Registry


class Violation(AssertionError):  # noqa: N818 - it is what the plugin did, and a failed assertion to pytest
    """A promise that the plugin does not keep; the message says which and how it showed."""


class NotApplicableError(Exception):
    """The promise is none of this plugin's; the message says why."""


def expect(condition: object, sentence: str) -> None:
    """Say that a promise is broken unless `condition` holds.

    Raises:
        Violation: it does not.
    """
    if not condition:
        raise Violation(sentence)


@dataclass(frozen=True, eq=False)
class Subject:
    """One plugin under examination."""

    registry: Registry
    kind: Kind
    spec: Any  # of the kind
    folder: Path  # scratch, empty

    def choice(self, **params: Any) -> Choice:
        """The plugin with these parameters, defaults otherwise."""
        return Choice(name=self.spec.name, params=params)

    def build(self, context: BuildContext | None = None, **params: Any) -> Any:
        """The working object."""
        return self.registry.build(self.kind, self.choice(**params), context or self.registry.context())

    def tree(self, columns: Mapping[str, Mapping[str, Role]] | None = None) -> OptionNode:
        """The search space of this plugin alone; `columns` (table -> column -> role) as in a log that has them."""
        registry = self.registry
        if self.kind == "models":  # encoders keep their own promises: none that takes hours is tried here
            quick = {name: spec for name, spec in registry.specs["encoders"].items() if spec.cost != "hours"}
            goals = self.spec.offers & GOALS
            losses = {name: spec for name, spec in registry.specs["losses"].items() if spec.offers & goals or not goals}
            registry = replace(registry, specs={**registry.specs, "encoders": quick, "losses": losses})
        return grow_one(registry, self.kind, self.spec.name, columns or {})

    def corners(self, columns: Mapping[str, Mapping[str, Role]] | None = None) -> Iterator[tuple[str, Choice]]:
        """The default, then every extreme value and every option, one at a time, each with its label.

        Options further down are reached with the choices that lead to them.
        """
        root = self.tree(columns)
        yield "the defaults", pick(root, _Default({}))
        for forced in _forced(root, {}):
            yield ", ".join(f"{path}={value}" for path, value in forced.items()), pick(root, _Default(forced))


@dataclass(frozen=True)
class _Default:
    """Picks the default everywhere but where a value is forced."""

    forced: dict[str, Any]

    def value(self, node: Parameter) -> Scalar:
        value: Scalar = self.forced.get(node.path, node.default)
        return value

    def option(self, node: OptionNode) -> str:
        return str(self.forced.get(node.path, node.default))


def _forced(node: AnyNode, way: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every corner below `node`, with the choices that make it live."""
    if isinstance(node, Parameter):
        for value in node.domain.corners():
            if value != node.default or type(value) is not type(node.default):
                yield {**way, node.path: value}
    elif isinstance(node, OptionNode):
        for name, group in node.options.items():
            there = way if name == node.default else {**way, node.path: name}
            if name != node.default:
                yield there
            for child in group.fields.values():
                yield from _forced(child, there)
    elif node.kind == "group":
        for child in node.fields.values():
            yield from _forced(child, way)


# --- evidence ---------------------------------------------------------------------------------------------------------


def round_trip(state: State) -> State:
    """The state as an artifact keeps it: values through JSON, arrays through safetensors.

    Raises:
        Violation: it holds what these cannot keep, or a pickle.
    """
    try:
        values = json.loads(json.dumps(state.values, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise Violation(f"state().values must be plain JSON values: {error}") from error
    for name, array in state.arrays.items():
        expect(isinstance(array, np.ndarray), f"state().arrays[{name!r}] is {type(array).__name__}, not a numpy array")
        expect(array.dtype.kind in "biuf", f"state().arrays[{name!r}] has dtype {array.dtype}: numbers only")
        expect(np.isfinite(array).all(), f"state().arrays[{name!r}] holds NaN or infinity, which no artifact keeps")
        expect(not _is_pickle(array), f"state().arrays[{name!r}] holds a pickle: loading it would run its code")
    arrays = {name: np.array(array, order="C") for name, array in state.arrays.items()}
    return State(values=values, arrays=load(save(arrays)))


PICKLE = b"\x80"  # the opcode PROTO, with which every pickle of protocol 2 or later begins


def _is_pickle(array: np.ndarray[Any, Any]) -> bool:
    content = array.tobytes() if array.dtype.itemsize == 1 else b""
    if not content.startswith(PICKLE):
        return False
    try:
        for _ in pickletools.genops(content):
            pass
    except Exception:  # noqa: BLE001 - whatever the bytes are, they are no pickle
        return False
    return True


def bits(thing: Any) -> Any:
    """The numbers in arrays, tensors, sparse matrices, dataclasses and containers, copied, to be compared."""
    if isinstance(thing, np.ndarray):
        return (thing.shape, str(thing.dtype), thing.tolist() if thing.dtype == object else thing.tobytes())
    if sparse.issparse(thing):
        matrix: Any = thing
        return tuple(bits(getattr(matrix.tocsr(), part)) for part in ("data", "indices", "indptr"))
    if hasattr(thing, "detach"):
        return bits(thing.detach().cpu().numpy())
    if is_dataclass(thing):
        return tuple((field.name, bits(getattr(thing, field.name))) for field in fields(thing))
    if isinstance(thing, dict):
        return tuple((key, bits(value)) for key, value in thing.items())
    return tuple(bits(value) for value in thing) if isinstance(thing, (list, tuple)) else repr(thing)


def unchanged(given: Any, work: Callable[[], object], what: str) -> None:
    """Do the work and see that it wrote into nothing that it was given.

    Raises:
        Violation: it did.
    """
    before = bits(given)
    work()
    expect(before == bits(given), f"{what} was changed: copy before you write")
