"""`recsmith data`: what a log holds and how it will be read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Interaction logs.", no_args_is_help=True)


@app.callback()
def data() -> None:
    """Interaction logs."""


@app.command()
def check(
    source: Annotated[str, typer.Argument(metavar="DATA", help="A file or folder with a log, or a plan.")],
    settings: Annotated[list[str] | None, typer.Option("--set", help="data.columns.user=name and the like.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Read a log, tell what was found and guessed, and refuse what cannot be used."""
    from recsmith.cli.printing import print_json, print_table, say
    from recsmith.data.check import check as check_dataset
    from recsmith.data.dataset import load_dataset
    from recsmith.wiring.plan import load_plan
    from recsmith.wiring.plugins import load_plugins
    from recsmith.wiring.stdout import stdout_aside

    plan = load_plan(source, {}, settings or ())
    registry = load_plugins(plan.plugins, plan.without).registry
    with stdout_aside():
        report = check_dataset(load_dataset(plan.data, registry), plan)
    if as_json:
        print_json(report.model_dump(mode="json"))
        return
    print_table("", ("what", "found"), report.rows())
    columns = [(c.table, c.name, c.role, f"{c.missing:.1%}", c.example) for c in report.columns]
    print_table("columns", ("table", "column", "role", "missing", "example"), columns)
    for note in report.notes:
        say(f"note: {note}")
    for warning in report.warnings:
        say(f"warning: {warning}")


@app.command()
def describe(
    source: Annotated[str, typer.Argument(metavar="DATA", help="A file or folder with a log, or a plan.")],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE.html", help="The page; description.html here, none with --json."),
    ] = None,
    settings: Annotated[list[str] | None, typer.Option("--set", help="data.columns.user=name and the like.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print every fact as JSON.")] = False,
) -> None:
    """Write one page about a log's texts, pictures, sounds, near-duplicates and interactions."""
    from recsmith.cli.printing import print_json, print_table
    from recsmith.data.dataset import load_dataset
    from recsmith.data.description.describe import describe as describe_dataset
    from recsmith.data.description.page import writable, write_page
    from recsmith.wiring.plan import load_plan
    from recsmith.wiring.plugins import load_plugins
    from recsmith.wiring.stdout import stdout_aside

    place = output if output is not None or as_json else Path("description.html")
    if place is not None:
        writable(place)  # before the work, not after it
    plan = load_plan(source, {}, settings or ())
    registry = load_plugins(plan.plugins, plan.without).registry
    with stdout_aside():
        description = describe_dataset(load_dataset(plan.data, registry), registry)
    if place is not None:
        write_page(description, place)
    if as_json:
        print_json(description.model_dump(mode="json"))
        return
    print_table("", ("what", "found"), [*description.summary(), ("page", str(place))])
