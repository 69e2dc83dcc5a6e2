"""What a space file or `--set` says, applied to the grown tree: it narrows, widens, pins or opens, never invents."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from recsmith.contracts.domains import Categorical, Domain, Float, Int
from recsmith.contracts.errors import SpaceError, unknown
from recsmith.contracts.space import AnyNode, Fixed, Group, OptionNode, Parameter

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic.fields import FieldInfo

    from recsmith.wiring.documents import Document
    from recsmith.wiring.growth import Tree


def apply_document(root: AnyNode, document: Document, tree: Tree) -> AnyNode:
    """The tree with every line of the document applied, in order.

    Raises:
        SpaceError: a name that the tree does not hold, or a value that the setting cannot hold.
    """
    for key, value in document.content.items():
        first, *rest = key.split(".")
        edit = _Edit(document, (key,), value, tree)
        if first != tree.root.path:
            raise edit.error(unknown("name", first, [tree.root.path]))
        root = edit.put(root, rest)
    return root


def usual(default: str, options: Mapping[str, Group]) -> str:
    """The default of a choice whose options were narrowed."""
    return default if default in options else next(iter(options), default)


def children(node: AnyNode) -> Mapping[str, AnyNode]:
    """The named nodes directly below."""
    if isinstance(node, OptionNode):
        return node.options
    return node.fields if isinstance(node, Group) else {}


@dataclass(frozen=True, eq=False)
class _Edit:
    """One line of the document on its way down the tree."""

    document: Document
    key: tuple[str, ...]
    value: Any
    tree: Tree

    def error(self, reason: str) -> SpaceError:
        return SpaceError(f"{self.document.place(self.key)}: {reason}")

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
        if name == "*":
            fitting = {child for child in named if _leads(named[child], deeper)}
            if not fitting:
                raise self.error(f"{node.path}: no name there has {'.'.join(deeper)!r} below it.")
        elif name in named:
            fitting = {name}
        elif isinstance(node, OptionNode) and f"{node.path}.{name}" in self.tree.options:
            return node  # narrowed away by an earlier line: nothing to change
        else:
            raise self.error(f"{node.path}: {unknown('parameter', name, named)}")
        changed = {child: self.put(below, deeper) if child in fitting else below for child, below in named.items()}
        return node.model_copy(update={"options" if isinstance(node, OptionNode) else "fields": changed})

    def options(self, node: OptionNode) -> OptionNode:
        names = [self.value] if isinstance(self.value, str) else self.value
        if not isinstance(names, list) or not names:
            raise self.error(f"{node.path}: give one name or a list of names, not {self.value!r}.")
        for name in names:
            if name not in node.options:
                raise self.error(f"{node.path}: {unknown('option', str(name), node.options)}")
        kept = {name: group for name, group in node.options.items() if name in names}
        return node.model_copy(update={"options": kept, "default": usual(node.default, kept)})

    def leaf(self, node: Parameter | Fixed) -> AnyNode:
        before = node.default if isinstance(node, Parameter) else node.value
        info = self.tree.fields[node.path]
        try:
            if isinstance(self.value, dict) and not isinstance(before, dict):
                domain: Domain = _range(node, info, self.value)
            elif isinstance(self.value, list) and not isinstance(before, (list, tuple)):
                domain = Categorical(tuple(_checked(info, choice) for choice in self.value))
            else:
                return Fixed(path=node.path, value=_checked(info, self.value))
        except (ValueError, TypeError) as error:
            reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
            reason = reason.removeprefix("Value error, ")
            raise self.error(f"{node.path}: {reason} (given: {self.value!r}).") from error
        return Parameter(path=node.path, domain=domain, default=domain.nearest(before))


def _leads(node: AnyNode, path: list[str]) -> bool:
    """Whether `path` leads somewhere below the node."""
    if not path:
        return True
    named = children(node)
    names = list(named) if path[0] == "*" else [path[0]]
    return any(name in named and _leads(named[name], path[1:]) for name in names)


def _range(node: Parameter | Fixed, info: FieldInfo, value: dict[str, Any]) -> Int | Float:
    """The range that a mapping describes; of whole numbers where the setting holds whole numbers."""
    domain = node.domain if isinstance(node, Parameter) else None
    whole = isinstance(domain, Int) or (not isinstance(domain, Float) and info.annotation is int)
    optional = {"log", "step"} if whole else {"log"}
    if not {"low", "high"} <= set(value) <= {"low", "high"} | optional:
        msg = f"a range is written {{low: …, high: …}} and may say {' and '.join(sorted(optional))}"
        raise ValueError(msg)
    bounds = {end: _checked(info, value[end]) for end in ("low", "high")}
    return Int(**value | bounds) if whole else Float(**value | bounds)


def _checked(info: FieldInfo, value: Any) -> Any:
    """`value`, if the setting can hold it."""
    annotation: Any = info.annotation
    if isinstance(value, bool) and annotation is not bool:
        msg = "yes and no are not allowed here"
        raise ValueError(msg)
    return TypeAdapter(annotation).validate_python(value)
