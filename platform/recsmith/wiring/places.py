"""Where the plugins of each kind stand in a search space, as paths that a space file or `--set` takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recsmith.contracts.config import Config
from recsmith.contracts.domains import OneOf, PerColumn

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pydantic.fields import FieldInfo

    from recsmith.contracts.plugins import Spec
    from recsmith.wiring.registry import Registry

_DEEPEST = 12  # dots: an option that names its own kind would otherwise be followed for ever


def places(registry: Registry) -> dict[str, tuple[str, ...]]:
    """Per kind the paths of the choices among its plugins: `model.*.training.loss` for losses.

    `*` stands for every name that has something of the kind below it, COLUMN for the name of any column.
    """
    found: dict[str, set[str]] = {"models": {"model"}}
    waiting = {("model.*", spec.config) for spec in registry.specs["models"].values()}
    done = set()
    while waiting:
        path, config = step = waiting.pop()
        done.add(step)
        for name, info in config.model_fields.items():
            for kind, place in _chosen(f"{path}.{name}", info):
                found.setdefault(kind, set()).add(place)
                options: Mapping[str, Spec] = registry.specs.get(kind, {})  # type: ignore[call-overload]
                waiting |= {(f"{place}.*", spec.config) for spec in options.values()}
            if isinstance(info.annotation, type) and issubclass(info.annotation, Config):
                waiting.add((f"{path}.{name}", info.annotation))
        waiting = {step for step in waiting - done if step[0].count(".") <= _DEEPEST}
    return {kind: tuple(sorted(paths)) for kind, paths in found.items()}


def _chosen(path: str, info: FieldInfo) -> Iterator[tuple[str, str]]:
    """The kind and the path of the choice that a field holds, if it holds one."""
    for mark in info.metadata:
        if isinstance(mark, OneOf):
            yield mark.kind, path
        elif isinstance(mark, PerColumn):
            yield mark.of.kind, f"{path}.COLUMN"
