"""`recsmith update`: an artifact goes on learning from newer rows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from recsmith.updates.update import UpdateResult


def update(
    artifact: Annotated[Path, typer.Argument(metavar="ARTIFACT", help="The folder of an artifact.")],
    source: Annotated[Path, typer.Argument(metavar="NEW_LOG", help="Newer rows, as any reader takes them.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="ARTIFACT2", help="What to write.")],
    epochs: Annotated[int, typer.Option(min=1, help="Epochs of a model that goes on from its weights.")] = 6,
    replay: Annotated[
        float, typer.Option(min=0, max=1, help="Share of the users without new rows who are learnt again.")
    ] = 0.3,
    rate: Annotated[float, typer.Option(help="Factor on the study's learning rate.")] = 0.3,
    hold_out: Annotated[
        str, typer.Option(metavar="last|SHARE", help="What judges: each user's last new row, or the newest share.")
    ] = "last",
    forgetting: Annotated[float, typer.Option(min=0, help="The most that known users' metric may fall.")] = 0.02,
    anyway: Annotated[bool, typer.Option("--anyway", help="Write it even when it is worse.")] = False,
    settings: Annotated[list[str] | None, typer.Option("--set", help="data.columns.user=NAME and the like.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of everything random.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Learn newer rows, judge beside the old artifact on the same requests, and write what is no worse."""
    from pydantic import ValidationError

    from recsmith.cli.printing import print_json
    from recsmith.contracts.errors import PlanError
    from recsmith.updates.settings import UpdateSettings
    from recsmith.updates.update import update_artifact
    from recsmith.wiring.documents import parse_scalar
    from recsmith.wiring.stdout import stdout_aside

    try:
        asked = UpdateSettings(
            epochs=epochs,
            replay=replay,
            rate=rate,
            hold_out=parse_scalar(hold_out),
            forgetting=forgetting,
            anyway=anyway,
            seed=seed,
        )
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]).replace("_", "-")
        raise PlanError(f"--{name} {first['input']}: {first['msg']}.") from error
    with stdout_aside():
        result = update_artifact(artifact, source, output, asked, data=_data(settings or []))
    if as_json:
        print_json(result.model_dump(mode="json"))
    else:
        _tell(result)


def _data(settings: list[str]) -> dict[str, Any]:
    from recsmith.contracts.errors import PlanError
    from recsmith.wiring.documents import parse_scalar

    found = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals or not key.startswith("data."):
            raise PlanError(f"--set {setting}: write it as data.columns.user=NAME; only `data` can be set here.")
        found[key.removeprefix("data.")] = parse_scalar(text)
    return found


def _tell(result: UpdateResult) -> None:
    from recsmith.cli.printing import print_table, say

    for note in result.notes:
        say(f"note: {note}")
    facts = result.update
    rows = [
        (name, each.requests, each.before, each.after, each.gain, each.low, each.high)
        for name, each in (
            *((f"new rows, {name} users", each) for name, each in facts.judged.items()),
            (f"old rows (may fall by {facts.bound:g})", facts.forgetting),
        )
        if each.requests
    ]
    columns = ("requests", "number", f"{result.objective} before", "after", "gain", "low", "high")
    print_table("", columns, rows)
    typer.echo(
        f"{facts.interactions:,} new interactions, {facts.users:,} new users, {facts.items:,} new items; "
        f"{', '.join(facts.ways)} in {facts.seconds:.0f} s."
    )
    if facts.refused:
        typer.echo(f"written all the same: {facts.refused}.")
    typer.echo(f"{result.artifact}: written and verified.")
