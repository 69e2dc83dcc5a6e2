"""What the plugins offer, as plain data for people: every spec with its parameters, domains, defaults and source."""

from __future__ import annotations

import dataclasses
import inspect
import math
import re
from dataclasses import dataclass, field
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

from recsmith.contracts.config import Choice, Config
from recsmith.contracts.domains import Categorical, Float, Int, Narrowed, OneOf, PerColumn
from recsmith.contracts.plugins import Spec
from recsmith.wiring.places import places
from recsmith.wiring.registry import KINDS
from recsmith.wiring.remarks import remarks

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pydantic.fields import FieldInfo

    from recsmith.contracts.plugins import Kind
    from recsmith.wiring.plugins import LoadedPlugins, PluginInfo

_EMPTY_OPENING = re.compile(r"^(No settings|Settings( of [^.;:]*)?)\.\s*")
_BOUNDS = {"gt": ">", "ge": "≥", "lt": "<", "le": "≤"}


@dataclass(frozen=True)
class ParameterEntry:
    """One setting. `domain` has a `kind`: int, float, categorical, one_of, per_column, settings or fixed."""

    name: str  # below the settings that hold it: "dim", "training.batch_size"
    domain: dict[str, Any]
    default: Any  # plain data; of a choice its name and params
    meaning: str  # the comment beside the field in the source, or its description


@dataclass(frozen=True)
class Entry:
    """One spec. `facts` holds what only specs of its kind say (a metric's formula, an encoder's roles)."""

    kind: Kind
    name: str
    plugin: str  # the entry point
    distribution: str
    version: str
    description: str  # one line
    notes: str  # what else the docstring of the plugin says
    settings_notes: str  # what the docstring of its configuration says
    source: str
    cost: str
    needs: tuple[str, ...]
    offers: tuple[str, ...]
    paths: tuple[str, ...]  # where it stands in a search space; `*` is every name that fits, COLUMN any column
    parameters: tuple[ParameterEntry, ...]
    facts: dict[str, Any]


@dataclass(frozen=True)
class SettingsEntry:
    """A configuration that several plugins may hold."""

    name: str
    description: str
    parameters: tuple[ParameterEntry, ...]


@dataclass(frozen=True)
class Catalogue:
    """All specs by kind and name, and the settings that they share by name."""

    entries: tuple[Entry, ...]
    settings: tuple[SettingsEntry, ...]


def gather(loaded: LoadedPlugins, distribution: str | None = None) -> Catalogue:
    """Describe what the active plugins offer; with `distribution` only what that one offers."""
    infos = {info.name: info for info in loaded.found if info.state == "active"}
    where, shared = places(loaded.registry), _Shared()
    entries = []
    for kind in KINDS:
        for name, spec in loaded.registry.specs[kind].items():
            info = infos[loaded.registry.origins[kind, name]]
            if distribution in {None, info.distribution}:
                paths = tuple(f"{path}.{name}" for path in where.get(kind, ()))
                entries.append(_entry(kind, spec, info, _docstring(loaded, info.name, spec), paths, shared))
    return Catalogue(tuple(entries), shared.entries())


def _entry(kind: Kind, spec: Spec, info: PluginInfo, docstring: str, paths: tuple[str, ...], shared: _Shared) -> Entry:
    description, _, notes = docstring.partition("\n")
    return Entry(
        kind=kind,
        name=spec.name,
        plugin=info.name,
        distribution=info.distribution,
        version=info.version,
        description=description,
        notes=_one_paragraph(notes),
        settings_notes=_settings_notes(spec.config),
        source=spec.source,
        cost=spec.cost,
        needs=tuple(sorted(spec.needs)),
        offers=tuple(sorted(spec.offers)),
        paths=paths,
        parameters=tuple(_parameters(spec.config, shared)),
        facts=_facts(spec),
    )


def _docstring(loaded: LoadedPlugins, plugin: str, spec: Spec) -> str:
    """Of the plugin; where it offers several specs, of what builds this one."""
    alone = list(loaded.registry.origins.values()).count(plugin) == 1
    built = None if alone else inspect.getdoc(spec.build)  # type: ignore[attr-defined]
    return built or inspect.getdoc(loaded.manager.get_plugin(plugin)) or ""


@dataclass(frozen=True, eq=False)
class _Shared:
    """The nested configurations that were met, by the name under which the catalogue shows them."""

    found: dict[str, type[Config]] = field(default_factory=dict)

    def name(self, config: type[Config]) -> str:
        name = config.__name__
        if self.found.setdefault(name, config) is not config:
            name = f"{config.__module__}.{config.__qualname__}"
            self.found[name] = config
        return name

    def entries(self) -> tuple[SettingsEntry, ...]:
        described: dict[str, SettingsEntry] = {}
        while waiting := [name for name in self.found if name not in described]:  # describing one may meet others
            for name in waiting:
                config = self.found[name]
                text = _one_paragraph(inspect.getdoc(config) or "")
                described[name] = SettingsEntry(name, text, tuple(_parameters(config, self)))
        return tuple(described[name] for name in sorted(described))


def _parameters(config: type[Config], shared: _Shared) -> Iterator[ParameterEntry]:
    """The settings of one configuration; of a nested one a reference, and what is different here."""
    said = remarks(config)
    for name, info in config.model_fields.items():
        value, nested = info.get_default(call_default_factory=True), _nested(info)
        if nested is None:
            yield ParameterEntry(name, _domain(info), _plain(value), said.get(name, ""))
            continue
        domain = {"kind": "settings", "of": shared.name(nested)}
        yield ParameterEntry(name, domain, None, said.get(name, ""))
        yield from _changes(name, nested, value, _narrowed(info))


def _changes(
    prefix: str, config: type[Config], instance: Config, narrowed: Mapping[str, Any]
) -> Iterator[ParameterEntry]:
    """The settings of a nested configuration whose domain or default is not the usual one."""
    for name, info in config.model_fields.items():
        value, path, nested = getattr(instance, name), f"{prefix}.{name}", _nested(info)
        if nested is not None:
            yield from _changes(path, nested, value, {})
        elif name in narrowed or value != info.get_default(call_default_factory=True):
            yield ParameterEntry(path, _domain(info, narrowed.get(name)), _plain(value), "")


def _nested(info: FieldInfo) -> type[Config] | None:
    annotation = info.annotation
    return annotation if isinstance(annotation, type) and issubclass(annotation, Config) else None


def _narrowed(info: FieldInfo) -> Mapping[str, Any]:
    return next((mark.domains for mark in info.metadata if isinstance(mark, Narrowed)), {})


def _domain(info: FieldInfo, instead: Any = None) -> dict[str, Any]:
    marks = [instead] if instead is not None else info.metadata
    for mark in marks:
        if isinstance(mark, (Int, Float, Categorical)):
            return _plain(dataclasses.asdict(mark))  # type: ignore[no-any-return]
        if isinstance(mark, OneOf):
            return _one_of(mark)
        if isinstance(mark, PerColumn):
            return {**_one_of(mark.of), "kind": "per_column", "table": mark.table}
    return {"kind": "fixed", "type": type_text(info.annotation) + _bounds(info.metadata)}


def _one_of(mark: OneOf) -> dict[str, Any]:
    return {"kind": "one_of", "of": mark.kind, "needs": sorted(mark.needs), "optional": mark.optional}


def type_text(annotation: Any) -> str:
    """A type in words: `int`, `list of float > 0 or none`."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if annotation is NoneType:
        return "none"
    if origin in {UnionType, Union}:
        return " or ".join(type_text(part) for part in parts)
    if origin is Annotated:
        return type_text(parts[0]) + "".join(_bounds([mark, *getattr(mark, "metadata", ())]) for mark in parts[1:])
    if origin is Literal:
        return " or ".join(str(part) for part in parts)
    if origin in {tuple, list} and parts:
        return f"list of {type_text(parts[0])}"
    return getattr(annotation, "__name__", str(annotation))


def _bounds(marks: list[Any]) -> str:
    found = [f"{sign} {getattr(mark, name)}" for mark in marks for name, sign in _BOUNDS.items() if hasattr(mark, name)]
    return " " + ", ".join(found) if found else ""


def _facts(spec: Spec) -> dict[str, Any]:
    usual = {one.name for one in dataclasses.fields(Spec)}
    own = {one.name: getattr(spec, one.name) for one in dataclasses.fields(spec) if one.name not in usual}
    plain = {name: _plain(value) for name, value in own.items() if not callable(value)}
    return {name: value for name, value in plain.items() if value not in (None, [], [None, None])}


def _plain(value: Any) -> Any:
    """JSON data: sets are sorted, an infinite number is None."""
    if isinstance(value, Choice):
        return {"name": value.name, "params": _plain(value.params)}
    if isinstance(value, BaseModel):
        return _plain(value.model_dump())
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    if isinstance(value, (tuple, list)):
        return [_plain(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _settings_notes(config: type[Config]) -> str:
    """The docstring of a configuration, without an opening "Settings." that says nothing."""
    text = "" if config is Config else _one_paragraph(inspect.getdoc(config) or "")
    return _EMPTY_OPENING.sub("", text)


def _one_paragraph(text: str) -> str:
    return " ".join(text.split())
