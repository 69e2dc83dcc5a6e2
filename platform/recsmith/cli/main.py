"""The program `recsmith`: its commands, and how it ends.

Exit codes: 0 done; 1 our own fault (with a traceback); 2 a mistake that the user can mend (one red sentence);
130 interrupted.
"""

from __future__ import annotations

import os
import sys

import typer

from recsmith.cli.data import app as data
from recsmith.cli.doctor import doctor
from recsmith.cli.export import export
from recsmith.cli.memory import app as memory
from recsmith.cli.plugins import app as plugins
from recsmith.cli.recommend import recommend
from recsmith.cli.spaces import app as spaces
from recsmith.cli.study import app as study
from recsmith.cli.update import update
from recsmith.cli.verify import verify
from recsmith.contracts.errors import RecsmithError

app = typer.Typer(
    name="recsmith",
    help="Find the best recommender for an interaction log, and use it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.add_typer(study, name="study")
app.command("export")(export)
app.command("update")(update)
app.command("verify")(verify)
app.command("recommend")(recommend)
app.add_typer(data, name="data")
app.add_typer(memory, name="memory")
app.add_typer(plugins, name="plugins")
app.add_typer(spaces, name="spaces")
app.command("doctor")(doctor)


def main() -> None:
    """Run the program."""
    try:
        app()
    except RecsmithError as error:
        typer.secho(f"recsmith: {error}", fg=typer.colors.RED, err=True)
        sys.exit(2)
    except KeyboardInterrupt as stop:
        typer.secho(f"recsmith: {stop or 'interrupted.'}", fg=typer.colors.RED, err=True)
        sys.exit(130)
    except BrokenPipeError:  # the reader of our output went away: nobody is left to tell
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
