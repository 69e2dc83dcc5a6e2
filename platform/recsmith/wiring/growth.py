"""From specs to a search space: the domains written beside the code become one tree with full-path names.

The tree holds every option that could ever fit; `wiring.spaces` narrows it and cuts what the log cannot use.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from recsmith.contracts.config import Choice, Config
from recsmith.contracts.data import LOG
from recsmith.contracts.domains import Categorical, Float, Int, Narrowed, OneOf, PerColumn
from recsmith.contracts.errors import PluginError
from recsmith.contracts.plugins import GRADIENTS, EncoderSpec, Kind, ModelSpec, Spec
from recsmith.contracts.space import NONE, AnyNode, Fixed, Group, LeftOut, OptionNode, Parameter
from recsmith.wiring.registry import singular

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic.fields import FieldInfo

    from recsmith.contracts.data import Role
    from recsmith.wiring.registry import Registry

ROOT = "model"


@dataclass(frozen=True, eq=False)
class Tree:
    """The grown tree, and which field or kind of plugin stands behind each path."""

    root: OptionNode
    kinds: Mapping[str, Kind]  # of every OptionNode
    fields: Mapping[str, FieldInfo]  # of every Parameter and Fixed
    options: frozenset[str]  # the path of every option of every choice
    left_out: tuple[LeftOut, ...]  # options that cannot grow whatever the log, and why
    unfit: Mapping[str, str]  # options that do not go with the model that holds them, and why
    roles: Mapping[str, Mapping[str, Role]]  # of every group with a choice per column: its columns' roles


@dataclass(frozen=True, eq=False)
class _Grower:
    registry: Registry
    columns: Mapping[str, Mapping[str, Role]]  # table -> column -> role
    kinds: dict[str, Kind] = field(default_factory=dict)
    fields: dict[str, FieldInfo] = field(default_factory=dict)
    options: set[str] = field(default_factory=set)
    left_out: list[LeftOut] = field(default_factory=list)
    unfit: dict[str, str] = field(default_factory=dict)
    roles: dict[str, Mapping[str, Role]] = field(default_factory=dict)
    way: list[Spec] = field(default_factory=list)  # the options that lead to where we are

    def option(self, path: str, one_of: OneOf, default: Choice | None, specs: Mapping[str, Spec]) -> OptionNode:
        """One choice; `default` names the usual option and may carry parameters for it.

        An option that holds itself is not offered within itself: the tree stays finite.
        """
        kind: Kind = one_of.kind  # type: ignore[assignment]
        self.kinds[path] = kind
        options = {NONE: Group(path=f"{path}.{NONE}")} if one_of.optional else {}
        for name, spec in specs.items():
            given = default.params if default is not None and default.name == name else {}
            if GRADIENTS in spec.needs and any(_is_closed_form(outer) for outer in self.way):
                self.unfit[f"{path}.{name}"] = "it learns by gradients, and the model does not"
            elif not any(spec is outer for outer in self.way):
                self.way.append(spec)
                try:
                    options[name] = self.settings(f"{path}.{name}", spec.config, spec.config, given, {})
                except PluginError as error:
                    self.left_out.append(LeftOut(path=f"{path}.{name}", reason=str(error)))
                self.way.pop()
        if not options:
            needs = f" that offers {' and '.join(sorted(one_of.needs))}" if one_of.needs else ""
            raise PluginError(f"{path}: there is no {singular(kind).replace('_', '-')}{needs}")
        self.options.update(group.path for group in options.values())
        usual = default.name if default is not None and default.name in options else next(iter(options))
        return OptionNode(path=path, options=options, default=usual)

    def settings(
        self, path: str, config: type[Config], base: Any, given: Mapping[str, Any], narrowed: Mapping[str, Any]
    ) -> Group:
        """The fields of one configuration. Values: `given`, else of the instance `base`, else the class defaults."""
        nodes: dict[str, AnyNode] = {}
        for name, info in config.model_fields.items():
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
                raise PluginError(f"{path}: the default {value!r} lies outside its domain")
            return Parameter(path=path, domain=mark, default=value)
        return Fixed(path=path, value=value)

    def per_column(self, path: str, mark: PerColumn) -> Group:
        """One optional choice for each column that some option can read."""
        nodes: dict[str, AnyNode] = {}
        self.roles[path] = self.columns.get(mark.table, {})
        for column, role in self.columns.get(mark.table, {}).items():
            specs = {
                name: spec
                for name, spec in self.offering(mark.of).items()
                if isinstance(spec, EncoderSpec) and role in spec.roles
                if not (column.startswith(LOG) and GRADIENTS in spec.needs)  # it would average what a module reads
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
    """The tree of all models of the registry for a log with these columns."""
    grower = _Grower(registry, columns)
    root = OptionNode(path=ROOT, options={}, default="")
    if registry.specs["models"]:
        root = grower.option(ROOT, OneOf("models"), None, registry.specs["models"])
    options, left_out = frozenset(grower.options), tuple(grower.left_out)
    return Tree(root, grower.kinds, grower.fields, options, left_out, grower.unfit, grower.roles)


def _is_closed_form(spec: Spec) -> bool:
    return isinstance(spec, ModelSpec) and spec.training == "closed_form"


def grow_one(registry: Registry, kind: Kind, name: str, columns: Mapping[str, Mapping[str, Role]]) -> OptionNode:
    """The tree of one plugin of any kind, as a choice that has no other option.

    Raises:
        PluginError: a choice in its settings has no option, or a default lies outside its domain.
    """
    grower = _Grower(registry, columns)
    spec = registry.spec(kind, name)
    try:
        return grower.option(singular(kind), OneOf(kind), None, {name: spec})
    except PluginError as error:
        raise PluginError(grower.left_out[0].reason if grower.left_out else str(error)) from None
