"""Everything that a plan names, looked up among the plugins before the log is read: with file and line, from a file.

What only the log can know, the names of its columns, is looked up when the log is read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

from pydantic import ValidationError

from recsmith.contracts.data import Role
from recsmith.contracts.errors import PlanError, RecsmithError, unknown
from recsmith.contracts.space import AnyNode, Group, OptionNode
from recsmith.wiring.documents import Document, as_json
from recsmith.wiring.growth import Tree, grow
from recsmith.wiring.narrowing import STAR, narrowed
from recsmith.wiring.plugins import installed
from recsmith.wiring.settings import reason
from recsmith.wiring.spaces import space_document

if TYPE_CHECKING:
    from recsmith.contracts.plan import Plan
    from recsmith.contracts.plugins import MetricSpec
    from recsmith.wiring.documents import Key
    from recsmith.wiring.registry import Registry


def check_plugins(plan: Plan, document: Document) -> None:
    """Look up the plugins that the plan allows or leaves out; nothing is imported.

    Raises:
        PlanError: one is not installed.
    """
    known = {name for point in installed() for name in (point.name, point.dist.name if point.dist else point.name)}
    for key in ("plugins", "without"):
        for entry, name in enumerate(getattr(plan, key) or ()):
            if name not in known:
                raise PlanError(document.located((key, entry), f"{key}: {unknown('installed plugin', name, known)}"))


def check_names(plan: Plan, registry: Registry, document: Document | None = None) -> None:
    """Look up the reader, the split and its parameters, the metrics and the space of a plan.

    Args:
        plan: what to do.
        registry: the plugins in play.
        document: the file that the plan was read from.

    Raises:
        PlanError: a name is unknown, or a value cannot be used; the sentence tells the place where there is one.
        SpaceError: the same in a space.
    """
    document = document or Document("plan", {})
    if plan.data.reader is not None and plan.data.reader not in registry.specs["readers"]:
        sentence = registry.unknown("readers", plan.data.reader, registry.specs["readers"])
        raise PlanError(document.located(("data", "reader"), f"data.reader: {sentence}"))
    _check_split(plan, registry, document)
    asked: list[tuple[Key, str]] = [(("metrics", entry), name) for entry, name in enumerate(plan.metrics)]
    for key, name in ([(("objective",), plan.objective)] if plan.objective is not None else []) + asked:
        try:
            metric_asked(name, registry)
        except PlanError as error:
            raise PlanError(document.located(key, f"{key[0]}: {error}")) from None
    _check_space(plan, registry, document)


def metric_asked(name: str, registry: Registry) -> tuple[MetricSpec, int]:
    """The metric that "ndcg@10" or "mae" asks for, and its cut-off; 0 for ratings.

    Raises:
        PlanError: it is unknown, or its cut-off is missing, superfluous or no whole number from 1.
    """
    base, at, cut = name.partition("@")
    if base not in registry.specs["metrics"]:
        raise PlanError(registry.unknown("metrics", base, registry.specs["metrics"]))
    spec: MetricSpec = registry.spec("metrics", base)
    if spec.judges == "ratings":
        if at:
            raise PlanError(f"metric {name!r}: {base} judges ratings and has no cut-off. Write {base!r}.")
        return spec, 0
    k = int(cut) if cut.isascii() and cut.isdigit() else 0
    if k < 1:
        raise PlanError(f"metric {name!r}: the cut-off is a whole number from 1. Write for example '{base}@10'.")
    return spec, k


def grow_for_any_log(registry: Registry) -> Tree:
    """The tree of all models where the columns are not known: `*` stands for any, with the encoders of every role."""
    trees = [grow(registry, {table: {STAR: role} for table in ("items", "users")}) for role in get_args(Role)]
    root: AnyNode = trees[0].root
    for tree in trees[1:]:
        root = _united(root, tree.root)
    if not isinstance(root, OptionNode):
        raise TypeError(root)
    return Tree(
        root,
        {path: kind for tree in trees for path, kind in tree.kinds.items()},
        {path: info for tree in trees for path, info in tree.fields.items()},
        frozenset().union(*(tree.options for tree in trees)),
        trees[0].left_out,
        {path: why for tree in trees for path, why in tree.unfit.items()},
        trees[0].roles,
    )


def _united(one: AnyNode, other: AnyNode) -> AnyNode:
    """Two trees of the same plugins for different columns as one."""
    if isinstance(one, Group) and isinstance(other, Group):
        return one.model_copy(update={"fields": _united_names(one.fields, other.fields)})
    if isinstance(one, OptionNode) and isinstance(other, OptionNode):
        return one.model_copy(update={"options": _united_names(one.options, other.options)})
    return one


def _united_names(one: Any, other: Any) -> dict[str, AnyNode]:
    return {**other, **{name: _united(node, other[name]) if name in other else node for name, node in one.items()}}


def _check_split(plan: Plan, registry: Registry, document: Document) -> None:
    if plan.split is None:
        return
    name = plan.split.name
    if name not in registry.specs["splitters"]:
        sentence = registry.unknown("splitters", name, registry.specs["splitters"])
        raise PlanError(document.located(("split", "name"), f"split: {sentence}"))
    config = registry.spec("splitters", name).config
    try:
        config.model_validate_json(as_json(plan.split.params), strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        written = document.content.get("split")
        inside: Key = ("params",) if isinstance(written, dict) and "params" in written else ()
        parameter = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            sentence = f"split: {name}: {unknown('parameter', parameter, config.model_fields)}"
        else:
            sentence = f"split: {name}: {parameter or 'settings'}: {reason(error)} (given: {first['input']!r})."
        raise PlanError(document.located(("split", *inside, *first["loc"]), sentence)) from None


def _check_space(plan: Plan, registry: Registry, document: Document) -> None:
    try:
        space = space_document(plan.space)
    except RecsmithError as error:
        raise PlanError(document.located(("space",), f"space: {error}")) from None
    if not isinstance(plan.space, str) and document.content:
        space = document.below("space")
    overrides = document.below("overrides") if document.content else Document("--set", dict(plan.overrides))
    narrowed(grow_for_any_log(registry), (space, overrides), registry.aside)
