"""`recsmith export`: an artifact from a study."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Annotated

import typer


class Refit(enum.StrEnum):
    """What the exported model is trained on."""

    train_valid = "train+valid"
    all = "all"


def export(
    study: Annotated[Path, typer.Argument(metavar="DIR", help="The folder of a study.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="ARTIFACT", help="What to write.")],
    trial: Annotated[int | None, typer.Option(help="A trial's number; the best one otherwise.")] = None,
    refit: Annotated[
        Refit, typer.Option(help="train+valid: the test figure is its own; all: every interaction, for production.")
    ] = Refit.train_valid,
    form: Annotated[str, typer.Option("--format", help="An installed exporter: folder, tar, …")] = "folder",
) -> None:
    """Write the artifact of a study's best trial, or of the one you name."""
    from recsmith.study.export import export_artifact
    from recsmith.wiring.stdout import stdout_aside

    with stdout_aside():
        written = export_artifact(study, output, trial=trial, refit=refit.value, form=form)
    typer.echo(f"{written}: written and verified.")
