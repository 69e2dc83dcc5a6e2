"""The program `recsmith`: its commands, and how it ends.

Exit codes: 0 done; 1 our own fault (with a traceback); 2 a mistake that the user can mend (one red sentence);
130 interrupted.
"""

from __future__ import annotations

import os
import sys

import typer

from recsmith.cli import data, doctor, export, plugins, recommend, spaces, study, verify
from recsmith.contracts.errors import RecsmithError

app = typer.Typer(
    name="recsmith",
    help="Find the best recommender for an interaction log, and use it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.add_typer(study.app, name="study")
app.command("export")(export.export)
app.command("verify")(verify.verify)
app.command("recommend")(recommend.recommend)
app.add_typer(data.app, name="data")
app.add_typer(plugins.app, name="plugins")
app.add_typer(spaces.app, name="spaces")
app.command("doctor")(doctor.doctor)


def main() -> None:
    """Run the program."""
    try:
        app()
    except RecsmithError as error:
        typer.secho(f"recsmith: {error}", fg=typer.colors.RED, err=True)
        sys.exit(2)
    except KeyboardInterrupt:
        typer.secho("recsmith: interrupted.", fg=typer.colors.RED, err=True)
        sys.exit(130)
    except BrokenPipeError:  # the reader of our output went away: nobody is left to tell
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
