"""Search spaces: grown from the code, changed by YAML and `--set`, cut to what the log can use.

A space file maps paths to what may be drawn there:

    model: [sasrec, ease]                       # a list narrows a choice, or gives the values of a parameter
    model.sasrec.training.epochs: 20            # a value pins
    model.sasrec.dim: {low: 32, high: 128, log: true}        # a range narrows, widens or opens
    model.*.training.patience: 3                # `*` stands for every name at that place

Keys may be nested instead of dotted. Precedence: code < file < `--set`.
"""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from recsmith.contracts.errors import SpaceError, unknown
from recsmith.contracts.plugins import GOALS, GRADIENTS
from recsmith.contracts.space import NONE, AnyNode, Group, LeftOut, OptionNode, SearchSpace
from recsmith.wiring.documents import Document, read_document
from recsmith.wiring.growth import Tree, grow
from recsmith.wiring.narrowing import narrowed, usual

if TYPE_CHECKING:
    from collections.abc import Mapping

    from recsmith.contracts.data import Role
    from recsmith.contracts.plan import Scenario
    from recsmith.contracts.plugins import Kind, Spec
    from recsmith.wiring.registry import Registry

SCENARIO_NEEDS: dict[Scenario, frozenset[str]] = {
    "next_item": frozenset({"ranking"}),
    "rating": frozenset({"ratings"}),
    "cold_user": frozenset({"ranking", "new_users"}),
    "cold_item": frozenset({"ranking", "new_items"}),
    "both_cold": frozenset({"ranking", "new_users", "new_items"}),
    "cross_domain": frozenset({"ranking"}),
    "streaming": frozenset({"ranking"}),
}

BROKEN = "quarantined"  # how the reason of a plugin begins that was not left out on purpose

_REASONS = {
    "timestamps": "the log has no timestamps",
    "order": "the log has no order (no timestamps, and the plan does not say `order: rows`)",
    "values": "the log has no ratings",
    "split": "the log has no readable column `split`",
    "item_features": "the log has no item columns that an encoder reads",
    "user_features": "the log has no user columns that an encoder reads",
    "small_catalogue": "the catalogue is larger than 50,000 items",
    "cold_users": "the split holds out no whole users: take the scenario cold_user, or split: cold_user",
    "domains": "the log has no domains",
    "target_domain": "the scenario is not cross_domain",
    "ranking": "it is not for ranking",
    "ratings": "it is not for ratings",
    "new_users": "it cannot serve users that training has not seen",
    "new_items": "it cannot score items that training has not seen",
}


def spaces_folder() -> Path:
    """The folder of the space files: inside the installed package, or beside the sources."""
    package = Path(__file__).parents[1]
    inside = package / "search_spaces"
    return inside if inside.is_dir() else package.parents[1] / "search_spaces"


def is_file(space: str) -> bool:
    """Whether a plan's `space` is the path of a file, and no name."""
    return "/" in space or space.endswith((".yaml", ".yml"))


def space_document(space: str | Mapping[str, Any]) -> Document:
    """The space that a plan asks for: a name in `search_spaces/`, a file, or the content itself.

    Raises:
        SpaceError: there is no such name or file.
    """
    if not isinstance(space, str):
        return Document("space", dict(space))
    if is_file(space):
        return read_document(Path(space), SpaceError)
    named = {path.stem: path for path in spaces_folder().glob("*.yaml")}
    if space not in named:
        raise SpaceError(unknown("search space", space, named))
    document = read_document(named[space], SpaceError)
    return Document(named[space].name, document.content, document.lines)


def resolve_space(
    registry: Registry,
    document: Document,
    overrides: Mapping[str, Any],
    *,
    scenario: Scenario,
    capabilities: frozenset[str],
    columns: Mapping[str, Mapping[str, Role]],
    too_large: Mapping[str, str] = MappingProxyType({}),
) -> SearchSpace:
    """The space of one study: every point of it is a valid configuration for this log.

    Args:
        registry: the plugins in play.
        document: the space file.
        overrides: paths and values from `--set`, applied last.
        scenario: what is being predicted.
        capabilities: what the log offers (contracts.plugins.Spec).
        columns: role of every column, by table ("items", "users").
        too_large: models that do not fit into the memory with their usual settings, and why.

    Raises:
        SpaceError: an unknown name, a wrong value, or nothing left to search.
    """
    tree = grow(registry, columns)
    root = narrowed(tree, (document, Document("--set", dict(overrides))), registry.aside)
    cut = _Cut(registry, tree, capabilities, scenario)
    kept = cut.models(root, too_large)
    broken = [LeftOut(path=name, reason=reason) for name, reason in registry.aside.items() if reason.startswith(BROKEN)]
    return SearchSpace(name=document.name, root=kept, left_out=(*broken, *cut.left_out))


class _Cut:
    """Cuts what the log, the scenario or the host cannot use, and remembers why."""

    def __init__(self, registry: Registry, tree: Tree, capabilities: frozenset[str], scenario: Scenario) -> None:
        self.registry = registry
        self.tree = tree
        self.scenario = scenario
        self.capabilities = capabilities | {GRADIENTS}  # where a model has none, growth leaves out what needs them
        self.left_out: list[LeftOut] = list(tree.left_out)

    def models(self, root: AnyNode, too_large: Mapping[str, str]) -> OptionNode:
        """The root with the models that can do what the scenario asks."""
        if not isinstance(root, OptionNode):
            raise TypeError(root)
        able = {}
        for name, group in root.options.items():
            missing = SCENARIO_NEEDS[self.scenario] - self.registry.spec("models", name).offers
            if missing:
                self.leave_out(group.path, missing)
            elif name in too_large:
                self.left_out.append(LeftOut(path=group.path, reason=too_large[name]))
            else:
                able[name] = group
        kept = self.option(root.model_copy(update={"options": able}))
        if kept is None:
            reasons = "; ".join(f"{out.path.removeprefix('model.')}: {out.reason}" for out in self.left_out)
            raise SpaceError(f"no model is left for this log in the scenario {self.scenario} ({reasons}).")
        return kept

    def option(self, node: OptionNode) -> OptionNode | None:
        """The choice with the options that can work here; None if there are none."""
        kept: dict[str, Group] = {}
        for name, group in node.options.items():
            missing = self.missing(self.tree.kinds[node.path], name) if name != NONE else frozenset()
            if missing:
                self.leave_out(group.path, missing)
                continue
            alive = self.group(group)
            if alive is not None:
                kept[name] = alive
        return node.model_copy(update={"options": kept, "default": usual(node.default, kept)}) if kept else None

    def missing(self, kind: Kind, name: str) -> frozenset[str]:
        """What the log or the scenario asks of a plugin, or it of them, that is not there.

        A loss judges what the scenario predicts: ratings in `rating`, lists elsewhere.
        """
        spec: Spec = self.registry.spec(kind, name)
        goal = SCENARIO_NEEDS[self.scenario] & GOALS if kind == "losses" else frozenset()
        return (spec.needs - self.capabilities) | (goal - spec.offers)

    def group(self, group: Group) -> Group | None:
        """The settings with every choice cut; None if one of the choices has nothing left."""
        fields: dict[str, AnyNode] = {}
        for name, node in group.fields.items():
            alive: AnyNode | None = node
            if isinstance(node, OptionNode):
                alive = self.option(node)
            elif isinstance(node, Group):
                alive = self.group(node)
            if alive is None:
                self.left_out.append(LeftOut(path=group.path, reason=f"no option is left for {name}"))
                return None
            fields[name] = alive
        return group.model_copy(update={"fields": fields})

    def leave_out(self, path: str, missing: frozenset[str]) -> None:
        reason = " and ".join(_REASONS.get(need, f"nothing here offers {need!r}") for need in sorted(missing))
        self.left_out.append(LeftOut(path=path, reason=reason))
