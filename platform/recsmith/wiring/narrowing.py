"""What space files and `--set` say, applied to the grown tree: they narrow, widen, pin or open, never invent."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, get_args

from recsmith.contracts.data import Role
from recsmith.contracts.errors import SpaceError, unknown
from recsmith.contracts.space import AnyNode, Fixed, Group, OptionNode, Parameter
from recsmith.wiring.registry import singular
from recsmith.wiring.settings import Setting, reason

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from recsmith.contracts.domains import Domain
    from recsmith.wiring.documents import Document, Key
    from recsmith.wiring.growth import Tree

STAR = "*"  # stands for every name at its place; in a tree for any log, for any column
ROLE = re.compile(r"\((\w+)\)")  # "(text)" stands for every column of that role, of which there may be none


def narrowed(tree: Tree, documents: Iterable[Document], aside: Mapping[str, str]) -> AnyNode:
    """The tree with every line of the documents applied; of two lines about one thing the later counts.

    Every line is checked, also one about an option that another line takes away. A line about a plugin that is
    installed but not in play changes nothing.

    Args:
        tree: as grown.
        documents: the weakest first.
        aside: the plugins that are not in play, and why (`Registry.aside`).

    Raises:
        SpaceError: a name that the tree does not hold, or a value that the setting cannot hold.
    """
    root: AnyNode = tree.root
    kept: dict[str, list[str]] = {}
    domains = dict(domains_of(root))
    reasons = {**{out.path: out.reason for out in tree.left_out}, **tree.unfit}
    gone = {path: f"left out: {why}" for path, why in reasons.items()}
    for document in documents:
        for name, value in document.content.items():
            first, *rest = name.split(".")
            line = _Line(document, (name,), value, tree, domains, kept, {**aside, **gone})
            if first != tree.root.path:
                raise line.error(unknown("name", first, [tree.root.path]))
            root = line.put(root, rest)
    return _keep(root, kept)


def usual(default: str, options: Mapping[str, Group]) -> str:
    """The default of a choice whose options were narrowed."""
    return default if default in options else next(iter(options), default)


def children(node: AnyNode) -> Mapping[str, AnyNode]:
    """The named nodes directly below."""
    if isinstance(node, OptionNode):
        return node.options
    return node.fields if isinstance(node, Group) else {}


def _with(node: AnyNode, named: Mapping[str, AnyNode]) -> AnyNode:
    return node.model_copy(update={"options" if isinstance(node, OptionNode) else "fields": dict(named)})


def domains_of(node: AnyNode) -> Iterable[tuple[str, Domain]]:
    """Every parameter at or below a node, by path, with its domain."""
    if isinstance(node, Parameter):
        yield node.path, node.domain
    for child in children(node).values():
        yield from domains_of(child)


def _keep(node: AnyNode, kept: Mapping[str, list[str]]) -> AnyNode:
    """The tree with only those options that the lists name."""
    named = {name: _keep(child, kept) for name, child in children(node).items()}
    if not isinstance(node, OptionNode) or node.path not in kept:
        return _with(node, named) if named else node
    options = {name: group for name, group in named.items() if name in kept[node.path]}
    return node.model_copy(update={"options": options, "default": usual(node.default, options)})  # type: ignore[arg-type]


@dataclass(frozen=True, eq=False)
class _Line:
    """One line of a document on its way down the tree."""

    document: Document
    key: Key
    value: Any
    tree: Tree
    domains: Mapping[str, Domain]  # by path, as beside the code
    kept: dict[str, list[str]]  # path of a choice -> the options that lines so far leave it
    aside: Mapping[str, str]  # by the name of the plugin or the path of the option

    def error(self, sentence: str, entry: int | None = None) -> SpaceError:
        return SpaceError(self.document.located(self.key if entry is None else (*self.key, entry), sentence))

    def put(self, node: AnyNode, rest: list[str]) -> AnyNode:
        """The node with the value put at `rest` below it."""
        if rest:
            return self.below(node, rest)
        if isinstance(node, (Group, OptionNode)) and isinstance(self.value, dict):
            for name, value in self.value.items():
                nested = replace(self, key=(*self.key, str(name)), value=value)
                node = nested.below(node, str(name).split("."))
            return node
        if isinstance(node, OptionNode):
            return self.options(node)
        if isinstance(node, Group):
            raise self.error(f"{node.path}: give its settings by name. Known: {', '.join(node.fields) or 'none'}.")
        return self.leaf(node)

    def below(self, node: AnyNode, rest: list[str]) -> AnyNode:
        """The node with the value put somewhere below its child `rest[0]`, or below every child that fits `*`."""
        name, *deeper = rest
        named = children(node)
        if node.path in self.tree.roles and (role := ROLE.fullmatch(name)):
            fitting = self.columns(node.path, role[1])
        elif name == STAR:
            fitting = {child for child in named if self.leads(named[child], deeper)}
            if not fitting:
                raise self.error(f"{node.path}: no name there has {'.'.join(deeper)!r} below it.")
        elif name in named:
            fitting = {name}
        elif STAR in named:
            fitting = {STAR}
        elif dotted := {child for child, below in named.items() if below.path == f"{node.path}.{name}"}:
            fitting = dotted  # a column with a dot in its name is written as its path writes it
        elif self._aside(node, name):
            return node
        else:
            raise self.error(f"{node.path}: {unknown('parameter', name, named)}")
        return _with(
            node, {child: self.put(below, deeper) if child in fitting else below for child, below in named.items()}
        )

    def columns(self, path: str, role: str) -> set[str]:
        """The columns of a role, in a tree for any log the one that stands for all."""
        if role not in get_args(Role):
            raise self.error(f"{path}: {unknown('role', role, get_args(Role))}")
        return {column for column, own in self.tree.roles[path].items() if own == role or column == STAR}

    def leads(self, node: AnyNode, path: list[str]) -> bool:
        """Whether `path` leads somewhere below the node."""
        if not path:
            return True
        if node.path in self.tree.roles and ROLE.fullmatch(path[0]):
            return True
        named = children(node)
        names = list(named) if path[0] == STAR or (STAR in named and path[0] not in named) else [path[0]]
        return any(name in named and self.leads(named[name], path[1:]) for name in names)

    def _aside(self, node: AnyNode, name: str) -> str | None:
        """Why the plugin of that name is no option of a choice, if it is installed."""
        if not isinstance(node, OptionNode):
            return None
        plugin = f"{singular(self.tree.kinds[node.path])}.{name}"
        return self.aside.get(plugin) or self.aside.get(f"{node.path}.{name}")

    def options(self, node: OptionNode) -> OptionNode:
        names = [self.value] if isinstance(self.value, str) else self.value
        if not isinstance(names, list) or not names:
            raise self.error(f"{node.path}: give one name or a list of names, not {self.value!r}.")
        # Of a list for many models, what goes with this one.
        fit = [name for name in names if f"{node.path}.{name}" not in self.tree.unfit] or names
        for entry, name in enumerate(names):
            if name in fit and name not in list(node.options):
                why = self._aside(node, str(name))
                wrong = f"the plugin {name!r} is {why}." if why else unknown("option", str(name), node.options)
                raise self.error(f"{node.path}: {wrong}", entry if names is self.value else None)
        self.kept[node.path] = fit
        return node

    def leaf(self, node: Parameter | Fixed) -> AnyNode:
        before = node.default if isinstance(node, Parameter) else node.value
        setting = Setting(self.tree.fields[node.path], self.domains.get(node.path))
        try:
            if isinstance(self.value, dict) and not setting.mappings:
                domain: Domain = setting.range(self.value)
            elif isinstance(self.value, list) and not setting.lists:
                domain = setting.choices(self.value)
            else:
                return Fixed(path=node.path, value=setting.value(self.value))
        except ValueError as error:
            why = reason(error)
            raise self.error(
                f"{node.path}: {why if why.endswith('.') else f'{why} (given: {self.value!r}).'}"
            ) from error
        return Parameter(path=node.path, domain=domain, default=domain.nearest(before))
