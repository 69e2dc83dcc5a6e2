"""JSON Schema (draft 2020-12) of space files, generated from the installed plugins: for completion in an editor.

A key may be nested or dotted, and `*` may stand in it for any name. Dotted keys are listed at the top level, which is
where editors complete them; below it, and for keys with a `*`, patterns hold. A pattern covers all places that take the
same values; a key that fits several patterns must satisfy all of them, as the value of a `*` must fit wherever it goes.
"""

from __future__ import annotations

import inspect
import json
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from recsmith.contracts.config import Config
from recsmith.contracts.domains import Categorical
from recsmith.contracts.space import NONE, AnyNode, Fixed, OptionNode, Parameter
from recsmith.wiring.growth import grow
from recsmith.wiring.names import grow_for_any_log
from recsmith.wiring.narrowing import STAR, children
from recsmith.wiring.remarks import remarks
from recsmith.wiring.settings import Schema, Setting

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from recsmith.contracts.data import Role
    from recsmith.contracts.domains import Domain
    from recsmith.wiring.growth import Tree
    from recsmith.wiring.registry import Registry

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_ANY_COLUMN, _STAR = "[^.]+", r"(?:\*|\(\w+\))"
_SPECIAL, _ESCAPED = r"[\\^$.*+?()\[\]{}|/]", r"\\\g<0>"  # what a regular expression of ECMAScript wants escaped
_NAMES = {"integer": "whole_number", "number": "number", "boolean": "yes_or_no", "string": "text"}


def space_schema(registry: Registry, columns: Mapping[str, Mapping[str, Role]] | None = None) -> Schema:
    """JSON Schema of a space file.

    Args:
        registry: the plugins whose names and settings it may hold.
        columns: role of every column, by table ("items", "users"); None where the log is not known: any name is one.
    """
    content, defs = space_content(registry, columns)
    return {"$schema": DIALECT, "title": "A recsmith search space", **content, "$defs": defs}


def space_content(registry: Registry, columns: Mapping[str, Mapping[str, Role]] | None) -> tuple[Schema, Schema]:
    """The schema of a space as a part of another schema, and the definitions that it refers to."""
    tree = grow_for_any_log(registry) if columns is None else grow(registry, columns)
    writer = _Writer(registry, tree, {id(info): text for info, text in _remarks(registry)})
    root = tree.root.path
    shape = writer.shape(tree.root)
    properties = {root: shape.schema} | {f"{root}.{path}": schema for path, schema in shape.paths.items()}
    return mapping(
        properties, {rf"{root}\.{pattern}": schema for pattern, schema in shape.patterns.items()}
    ), writer.defs


def mapping(properties: Schema, patterns: Schema | None = None) -> Schema:
    """The schema of a mapping that holds nothing else."""
    schema: Schema = {"type": "object", "properties": properties}
    if patterns:
        schema["patternProperties"] = {f"^{pattern}$": entry for pattern, entry in patterns.items()}
    return schema | {"additionalProperties": False}


@dataclass(frozen=True)
class _Shape:
    """One node as JSON Schema."""

    schema: Schema
    accepts: int  # a number for what may be written there: the same for two nodes that take the same
    ways: Mapping[int, str] = field(default_factory=dict)  # accepted -> pattern of the keys below that take just that
    patterns: Schema = field(default_factory=dict)  # pattern of the dotted and starred keys below -> schema
    paths: Mapping[str, Schema] = field(default_factory=dict)  # every dotted key below -> schema
    setting: bool = False  # whether nothing can be below


@dataclass(frozen=True, eq=False)
class _Writer:
    """Writes the nodes of a tree; what is alike is written once."""

    registry: Registry
    tree: Tree
    remarks: Mapping[int, str]  # by the identity of a field
    defs: Schema = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)  # content of a definition -> its name
    numbers: dict[str, int] = field(default_factory=dict)  # what may be written -> its number
    plain: dict[int, Schema] = field(default_factory=dict)  # its number -> a schema that accepts it

    def shape(self, node: AnyNode) -> _Shape:
        """The schema of a node and of everything below it."""
        if isinstance(node, (Parameter, Fixed)):
            return self.leaf(node)
        below = {child.path.rpartition(".")[2]: self.shape(child) for child in children(node).values()}
        if isinstance(node, OptionNode):
            below = {name: self.described(node, name, shape) for name, shape in below.items()}
        patterns = self.merged(_ways(below, own=True))
        settings = mapping({name: shape.schema for name, shape in below.items() if name != STAR}, patterns)
        names, unfit = {"enum": list(below)}, [path for path in self.tree.unfit if path.startswith(f"{node.path}.")]
        listed = {"enum": [*below, *(path.removeprefix(f"{node.path}.") for path in unfit)]}  # see narrowing
        choice = {"anyOf": [names, {"type": "array", "items": listed, "minItems": 1}, settings]}
        schema = self.define(node.path, choice if isinstance(node, OptionNode) else settings)
        takes = [isinstance(node, OptionNode), sorted((name, shape.accepts) for name, shape in below.items())]
        accepts = self.number(takes, schema)
        if isinstance(node, OptionNode) and STAR not in node.path:  # the usual encoder depends on the column
            schema = schema | {"default": node.default}
        return _Shape(schema, accepts, _ways(below, own=False), patterns, dict(_paths(below, schema["$ref"])))

    def leaf(self, node: Parameter | Fixed) -> _Shape:
        """The schema of a setting."""
        info = self.tree.fields[node.path]
        domain, usual = (node.domain, node.default) if isinstance(node, Parameter) else (None, node.value)
        setting = Setting(info, domain)
        plain = self.define(_NAMES.get(str(setting.value_schema().get("type")), node.path), setting.schema())
        said = (self.remarks.get(id(info)), _in_words(domain))
        schema = plain | {"description": ". ".join(text for text in said if text)}
        schema["default"] = json.loads(json.dumps(usual, default=str))
        if domain is not None:
            schema["defaultSnippets"] = _snippets(domain)
        return _Shape(schema, self.number(setting.schema(), plain), setting=True)

    def described(self, node: OptionNode, name: str, shape: _Shape) -> _Shape:
        """An option with the first line of what its plugin says of itself."""
        spec = self.registry.specs[self.tree.kinds[node.path]].get(name) if name != NONE else None
        module = inspect.getmodule(getattr(spec, "build", None))
        said = (inspect.getdoc(module) or "").partition("\n")[0]
        return replace(shape, schema=shape.schema | {"description": said}) if said else shape

    def define(self, name: str, content: Schema) -> Schema:
        """A reference to a definition of that content."""
        key = json.dumps(content, sort_keys=True)
        if key not in self.names:
            self.names[key] = name if name not in self.defs else f"{name}.{len(self.defs)}"
            self.defs[self.names[key]] = content
        return {"$ref": f"#/$defs/{self.names[key]}"}

    def number(self, takes: Any, schema: Schema) -> int:
        """The number of what may be written."""
        number = self.numbers.setdefault(json.dumps(takes, sort_keys=True), len(self.numbers))
        self.plain.setdefault(number, schema)
        return number

    def merged(self, ways: Mapping[int, str]) -> Schema:
        """Patterns with their schemas; all of them hold where one pattern leads to several."""
        by_pattern: dict[str, list[Schema]] = {}
        for accepts, pattern in ways.items():
            by_pattern.setdefault(pattern, []).append(self.plain[accepts])
        return {pattern: found[0] if len(found) == 1 else {"allOf": found} for pattern, found in by_pattern.items()}


def _paths(below: Mapping[str, _Shape], reference: str) -> Iterator[tuple[str, Schema]]:
    """Every dotted key below, without those that lead through a column of an unknown log."""
    for name, shape in below.items():
        if name != STAR:
            yield name, {"$ref": f"{reference}/properties/{name}"} if shape.setting else shape.schema
            for path, schema in shape.paths.items():
                yield f"{name}.{path}", schema


def _ways(below: Mapping[str, _Shape], *, own: bool) -> dict[int, str]:
    """What is accepted below -> pattern of its keys; with `own` without the plain names, which properties hold."""
    here: dict[int, list[str]] = {}
    deeper: dict[int, dict[str, list[str]]] = {}
    for name, shape in below.items():
        here.setdefault(shape.accepts, []).append(name)
        for accepts, pattern in shape.ways.items():
            deeper.setdefault(accepts, {}).setdefault(pattern, []).append(name)
    found = {}
    for accepts in here.keys() | deeper.keys():
        last = here.get(accepts, [])
        ends = [_STAR if own and STAR not in last else _one_of(last)] if last else []
        ends += [rf"{_one_of(names)}\.{pattern}" for pattern, names in deeper.get(accepts, {}).items()]
        found[accepts] = ends[0] if len(ends) == 1 else f"(?:{'|'.join(ends)})"
    return dict(sorted(found.items()))


def _one_of(names: Iterable[str]) -> str:
    """The pattern of these names and of the star; where any column may stand, of any name."""
    if STAR in names:
        return _ANY_COLUMN
    return f"(?:{'|'.join(re.sub(_SPECIAL, _ESCAPED, name) for name in names)}|{_STAR})"


def _remarks(registry: Registry) -> Iterator[tuple[Any, str]]:
    """Every field of every configuration that the registry knows, with what its source says beside it."""
    waiting = [spec.config for named in registry.specs.values() for spec in named.values()]
    while waiting:
        config = waiting.pop()
        said = remarks(config)
        for name, info in config.model_fields.items():
            yield info, said.get(name, "")
            if isinstance(info.annotation, type) and issubclass(info.annotation, Config):
                waiting.append(info.annotation)


def _in_words(domain: Domain | None) -> str:
    if domain is None:
        return "Not searched unless a range or a list is given"
    if isinstance(domain, Categorical):
        return f"One of {', '.join(json.dumps(choice) for choice in domain.choices)}"
    return f"From {domain.low:g} to {domain.high:g}{', log' if domain.log else ''}"


def _snippets(domain: Domain) -> list[Schema]:
    """What an editor offers besides the default and the texts that it knows (the keyword is known to editors only)."""
    if isinstance(domain, Categorical):
        numbers = [
            choice for choice in domain.choices if isinstance(choice, (int, float)) and not isinstance(choice, bool)
        ]
        return [
            {"label": json.dumps(body, ensure_ascii=False), "body": body} for body in (*numbers, list(domain.choices))
        ]
    usual = {"log": False, "step": 1}
    shown = {name: getattr(domain, name) for name in ("low", "high", "log", "step") if hasattr(domain, name)}
    body = {name: value for name, value in shown.items() if value != usual.get(name)}
    return [{"label": ", ".join(f"{name}: {json.dumps(value)}" for name, value in body.items()), "body": body}]
