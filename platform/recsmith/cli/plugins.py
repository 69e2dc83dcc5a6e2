"""`recsmith plugins`: what is installed and what it offers; new ones, and whether they keep their promises."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from recsmith.cli.catalogue import catalogue

app = typer.Typer(help="Installed plugins.", no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.callback()
def plugins() -> None:
    """Installed plugins."""


@app.command("list")
def list_plugins(as_json: AsJson = False) -> None:
    """List every installed plugin with its kind, distribution, state and place."""
    from dataclasses import asdict

    from recsmith.cli.printing import print_json, print_table
    from recsmith.wiring.plugins import load_plugins

    found = load_plugins().found
    if as_json:
        print_json([asdict(plugin) for plugin in found])
        return
    rows = [(p.name, p.kind, p.distribution, p.state, p.reason) for p in found]
    print_table("", ("plugin", "kind", "distribution", "state", "reason"), rows)
    places = sorted({(p.distribution, p.version, p.origin) for p in found})
    print_table("", ("distribution", "version", "where it came from"), places)


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="Its name in search spaces, such as hitlist.")],
    kind: Annotated[str, typer.Option(help="model, encoder, sampler, loss, metric, …")],
    dest: Annotated[Path, typer.Option(metavar="DIR", help="The folder to write into.")] = Path(),
) -> None:
    """Write a new plugin as a distribution of its own, that works as it is."""
    from recsmith.testing.scaffold import write_distribution

    written = write_distribution(name, kind, dest)
    typer.echo(f"{written}: written. Next: pip install -e {written} && recsmith plugins check {kind}.{name}")


@app.command()
def check(
    plugin: Annotated[str, typer.Argument(metavar="NAME|DIR", help="A plugin, a distribution, or its source folder.")],
    timeout: Annotated[float, typer.Option(min=1, help="Seconds that one check may take.")] = 120.0,
    as_json: AsJson = False,
) -> None:
    """Run the conformance suite on a plugin: one line for each promise; exit code 1 if one is broken."""
    from dataclasses import asdict

    from recsmith.cli.printing import print_json, say
    from recsmith.testing.conformance.runner import examine

    outcomes = []
    thing = ""
    for outcome in examine(plugin, timeout=timeout):
        outcomes.append(outcome)
        if as_json:
            continue
        if thing != (thing := f"{outcome.kind}: {outcome.name}"):
            typer.secho(thing, bold=True)
        sign, colour = {"kept": ("ok", "green"), "broken": ("BROKEN", "red")}.get(outcome.state, ("-", None))
        typer.secho(f"  {sign:<7}", fg=colour, nl=False)
        typer.echo(f"{outcome.promise}" + (f"\n          {outcome.detail}" if outcome.detail else ""))
    broken = [outcome for outcome in outcomes if outcome.state == "broken"]
    if as_json:
        print_json([asdict(outcome) for outcome in outcomes])
    if not outcomes:
        say(f"{plugin}: it offers nothing that could be checked.")
    kept = sum(outcome.state == "kept" for outcome in outcomes)
    say(f"{kept} promises kept, {len(broken)} broken, {len(outcomes) - kept - len(broken)} not applicable.")
    if broken:
        raise typer.Exit(1)


app.command()(catalogue)
