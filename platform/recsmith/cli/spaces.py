"""`recsmith spaces`: what a study may search."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.tree import Tree

    from recsmith.contracts.space import AnyNode, SearchSpace

app = typer.Typer(help="Search spaces.", no_args_is_help=True)

Space = Annotated[str, typer.Argument(help="A name in search_spaces/, or a YAML file.")]
Data = Annotated[str | None, typer.Option("--data", help="A log or a plan: keep what fits it.")]
Settings = Annotated[list[str] | None, typer.Option("--set", help="model.path=value, as for a study.")]
ScenarioName = Annotated[
    str,
    typer.Option("--scenario", help="next_item, rating, cold_user, cold_item, both_cold, cross_domain or streaming."),
]


@app.command()
def show(
    space: Space = "default",
    data: Data = None,
    scenario: ScenarioName = "next_item",
    settings: Settings = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Draw the tree of a search space with domains, defaults and conditions."""
    from recsmith.cli.printing import print_json, say

    resolved = _resolve(space, data, scenario, settings)
    if as_json:
        print_json(resolved.model_dump(mode="json"))
        return
    from rich.console import Console
    from rich.tree import Tree

    tree = Tree(f"[bold]{resolved.root.path}[/] one of {len(resolved.root.options)}")
    for name, group in resolved.root.options.items():
        _draw(tree.add(f"[bold]{name}[/]"), group)
    Console(highlight=False).print(tree)
    for left in resolved.left_out:
        say(f"left out: {left.path}: {left.reason}")
    say(f"{_count(resolved.root)} parameters")


@app.command()
def check(space: Space, data: Data = None, scenario: ScenarioName = "next_item", settings: Settings = None) -> None:
    """Check a space file against the installed plugins."""
    resolved = _resolve(space, data, scenario, settings)
    typer.echo(f"{space}: {len(resolved.root.options)} models, {_count(resolved.root)} parameters.")


@app.command()
def schema(
    plan: Annotated[bool, typer.Option("--plan", help="Of plan files instead of space files.")] = False,
    data: Annotated[str | None, typer.Option("--data", help="A log or a plan: know its columns.")] = None,
    settings: Settings = None,
) -> None:
    """Print a JSON Schema of space files, or of plan files, so that an editor completes what is installed."""
    import json

    from recsmith.wiring.plan import load_plan
    from recsmith.wiring.plan_schema import plan_schema
    from recsmith.wiring.plugins import load_plugins
    from recsmith.wiring.schema import space_schema

    loaded = load_plugins()
    columns = None
    if data is not None:
        from recsmith.contracts.data import roles_by_table
        from recsmith.data.dataset import load_dataset

        dataset = load_dataset(load_plan(data, {}, settings or ()).data, loaded.registry)
        columns = roles_by_table(dataset.items, dataset.users, dataset.context)
    if plan:
        names = [name for info in loaded.found for name in (info.name, info.distribution)]
        found = plan_schema(loaded.registry, names, columns)
    else:
        found = space_schema(loaded.registry, columns)
    typer.echo(json.dumps(found, ensure_ascii=False))


def _resolve(space: str, data: str | None, scenario: str, settings: list[str] | None) -> SearchSpace:
    from recsmith.contracts.plugins import LOG_CAPABILITIES
    from recsmith.wiring.plan import load_plan
    from recsmith.wiring.plugins import load_plugins
    from recsmith.wiring.spaces import resolve_space, space_document

    plan = load_plan(data or "any", {"space": space, "scenario": scenario}, settings or ())
    registry = load_plugins().registry
    if data is not None:
        from recsmith.study.setup import set_up

        return set_up(plan, registry).space
    return resolve_space(
        registry,
        space_document(plan.space),
        plan.overrides,
        scenario=plan.scenario,
        capabilities=LOG_CAPABILITIES,
        columns={},
    )


def _draw(branch: Tree, node: AnyNode) -> None:
    from recsmith.contracts.space import Fixed, Group, OptionNode, Parameter

    if isinstance(node, Group):
        for name, child in node.fields.items():
            if isinstance(child, Parameter):
                branch.add(f"{name}  [cyan]{_domain(child)}[/]  default {child.default}")
            elif isinstance(child, Fixed):
                branch.add(f"[dim]{name} = {child.value}[/]")
            elif isinstance(child, OptionNode):
                _draw(branch.add(f"{name}  one of {', '.join(child.options)}  default {child.default}"), child)
            else:
                _draw(branch.add(name), child)
    elif isinstance(node, OptionNode):
        for name, group in node.options.items():
            if group.fields:
                _draw(branch.add(f"if [bold]{name}[/]"), group)


def _domain(parameter: object) -> str:
    from recsmith.contracts.domains import Categorical
    from recsmith.contracts.space import Parameter

    if not isinstance(parameter, Parameter):
        raise TypeError(parameter)
    domain = parameter.domain
    if isinstance(domain, Categorical):
        return "{" + ", ".join(str(choice) for choice in domain.choices) + "}"
    return f"{domain.low} … {domain.high}{' log' if domain.log else ''}"


def _count(node: AnyNode) -> int:
    """Parameters of the tree, choices with more than one option included."""
    from recsmith.contracts.space import Group, OptionNode, Parameter

    if isinstance(node, Parameter):
        return 1
    if isinstance(node, Group):
        return sum(_count(child) for child in node.fields.values())
    if isinstance(node, OptionNode):
        return (len(node.options) > 1) + sum(_count(group) for group in node.options.values())
    return 0
