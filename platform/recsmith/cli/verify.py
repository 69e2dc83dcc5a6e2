"""`recsmith verify`: is this artifact whole and does it answer as it did when it was saved?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def verify(artifact: Annotated[Path, typer.Argument(help="The folder of an artifact.")]) -> None:
    """Check every file of an artifact against its manifest, load it, and replay its golden requests."""
    from recsmith.artifacts.load import load_artifact
    from recsmith.cli.printing import say
    from recsmith.wiring.stdout import stdout_aside

    with stdout_aside():
        manifest = load_artifact(artifact).manifest
    models = ", ".join(configuration.name for configuration in manifest.configurations)
    typer.echo(f"{artifact}: verified.")
    say(f"{models}; {manifest.users:,} users, {manifest.items:,} items, {manifest.interactions:,} interactions")
    say(manifest.note)
