"""How commands print: tables for people, JSON for scripts."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def print_json(content: Any) -> None:
    """Print plain data as JSON on standard output."""
    json.dump(content, sys.stdout, indent=2, ensure_ascii=False, default=str)
    sys.stdout.write("\n")


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows under their column names; wide cells fold."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title or None, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(cell(value) for value in row))
    Console(soft_wrap=not sys.stdout.isatty(), highlight=False).print(table)


def cell(value: object) -> str:
    """One value as text: numbers with four significant places, nothing for None."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1e5 else f"{value:,.0f}"  # noqa: PLR2004 - where digits stop telling
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def say(sentence: str) -> None:
    """Tell something beside the result: on standard error, so that a pipe gets the result alone."""
    sys.stderr.write(f"{sentence}\n")
