"""`recsmith plugins`: what is installed and what it offers."""

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer(help="Installed plugins.", no_args_is_help=True)


@app.callback()
def plugins() -> None:
    """Installed plugins."""


@app.command("list")
def list_plugins(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List every installed plugin with its distribution and state."""
    from dataclasses import asdict

    from recsmith.cli.printing import print_json, print_table
    from recsmith.wiring.plugins import load_plugins

    found = load_plugins().found
    if as_json:
        print_json([asdict(plugin) for plugin in found])
        return
    print_table(
        "",
        ("plugin", "distribution", "version", "state", "reason"),
        [(p.name, p.distribution, p.version, p.state, p.reason) for p in found],
    )
