"""From specs to a search space: the domains written beside the code become one tree with full-path names.

The tree holds every option that could ever fit; `wiring.spaces` narrows it and cuts what the log cannot use.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from recsmith.contracts.config import Choice, Config
from recsmith.contracts.domains import Categorical, Float, Int, Narrowed, OneOf, PerColumn
from recsmith.contracts.errors import PluginError
from recsmith.contracts.plugins import EncoderSpec, Kind, Spec
from recsmith.contracts.space import NONE, AnyNode, Fixed, Group, OptionNode, Parameter

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic.fields import FieldInfo

    from recsmith.contracts.data import Role
    from recsmith.wiring.registry import Registry

ROOT = "model"
_DEEPEST = 12  # an option that names its own kind would otherwise grow for ever


@dataclass(frozen=True, eq=False)
class Tree:
    """The grown tree, and which field or kind of plugin stands behind each path."""

    root: OptionNode
    kinds: Mapping[str, Kind]  # of every OptionNode
    fields: Mapping[str, FieldInfo]  # of every Parameter and Fixed
    options: frozenset[str]  # the path of every option of every choice


@dataclass(frozen=True, eq=False)
class _Grower:
    registry: Registry
    columns: Mapping[str, Mapping[str, Role]]  # table -> column -> role
    kinds: dict[str, Kind] = field(default_factory=dict)
    fields: dict[str, FieldInfo] = field(default_factory=dict)
    options: set[str] = field(default_factory=set)

    def option(self, path: str, one_of: OneOf, default: Choice | None, specs: Mapping[str, Spec]) -> OptionNode:
        """One choice; `default` names the usual option and may carry parameters for it."""
        kind: Kind = one_of.kind  # type: ignore[assignment]
        self.kinds[path] = kind
        options = {NONE: Group(path=f"{path}.{NONE}")} if one_of.optional else {}
        for name, spec in specs.items():
            given = default.params if default is not None and default.name == name else {}
            options[name] = self.settings(f"{path}.{name}", spec.config, spec.config, given, {})
        if not options:
            raise PluginError(f"{path}: no installed plugin of the kind {kind} offers {', '.join(one_of.needs)}.")
        self.options.update(group.path for group in options.values())
        usual = default.name if default is not None and default.name in options else next(iter(options))
        return OptionNode(path=path, options=options, default=usual)

    def settings(
        self, path: str, config: type[Config], base: Any, given: Mapping[str, Any], narrowed: Mapping[str, Any]
    ) -> Group:
        """The fields of one configuration. Values: `given`, else of the instance `base`, else the class defaults."""
        if path.count(".") > _DEEPEST:
            raise PluginError(f"{path}: options nest without end: no plugin may offer a choice of its own kind.")
        nodes: dict[str, AnyNode] = {}
        for name, info in config.model_fields.items():
            if info.is_required():
                raise PluginError(f"{path}: the setting {name!r} has no default; every setting needs one.")
            value = getattr(base, name) if isinstance(base, BaseModel) else info.get_default(call_default_factory=True)
            nodes[name] = self.node(f"{path}.{name}", info, given.get(name, value), narrowed.get(name))
        return Group(path=path, fields=nodes)

    def node(self, path: str, info: FieldInfo, value: Any, domain: Any) -> AnyNode:
        """The node of one field."""
        marks = [domain] if domain is not None else info.metadata
        mark = next((m for m in marks if isinstance(m, (Int, Float, Categorical, OneOf, PerColumn, Narrowed))), None)
        if isinstance(mark, OneOf):
            choice = Choice.model_validate(value) if value is not None else None
            return self.option(path, mark, choice, self.offering(mark))
        if isinstance(mark, PerColumn):
            return self.per_column(path, mark)
        if isinstance(info.annotation, type) and issubclass(info.annotation, Config):
            given = value if isinstance(value, dict) else {}
            return self.settings(
                path, info.annotation, value, given, mark.domains if isinstance(mark, Narrowed) else {}
            )
        self.fields[path] = info
        if isinstance(mark, (Int, Float, Categorical)):
            if not mark.contains(value):
                raise PluginError(f"{path}: the default {value!r} lies outside its domain.")
            return Parameter(path=path, domain=mark, default=value)
        return Fixed(path=path, value=value)

    def per_column(self, path: str, mark: PerColumn) -> Group:
        """One optional choice for each column that some option can read."""
        nodes: dict[str, AnyNode] = {}
        for column, role in self.columns.get(mark.table, {}).items():
            specs = {
                name: spec
                for name, spec in self.offering(mark.of).items()
                if isinstance(spec, EncoderSpec) and role in spec.roles
            }
            if specs:
                usual = next((name for name, spec in specs.items() if role in spec.default_for), NONE)
                safe = column.replace(".", "_")
                nodes[column] = self.option(f"{path}.{safe}", mark.of, Choice(name=usual), specs)
        return Group(path=path, fields=nodes)

    def offering(self, one_of: OneOf) -> dict[str, Spec]:
        """The specs that a choice may name."""
        named: Mapping[str, Spec] = self.registry.specs[one_of.kind]  # type: ignore[index]
        return {name: spec for name, spec in named.items() if one_of.needs <= spec.offers}


def grow(registry: Registry, columns: Mapping[str, Mapping[str, Role]]) -> Tree:
    """The tree of all models of the registry for a log with these columns.

    Raises:
        PluginError: a spec has a setting without a default, or a default outside its domain.
    """
    grower = _Grower(registry, columns)
    root = grower.option(ROOT, OneOf("models"), None, registry.specs["models"])
    return Tree(root, grower.kinds, grower.fields, frozenset(grower.options))
