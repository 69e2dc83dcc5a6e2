"""`recsmith recommend`: ranked items from an artifact."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from recsmith.artifacts.recommender import Recommendation, Recommender

SHOWN = 5  # users without any selection


class Format(enum.StrEnum):
    """How recommendations are printed."""

    table = "table"
    csv = "csv"
    json = "json"


def recommend(
    artifact: Annotated[Path, typer.Argument(help="The folder of an artifact.")],
    users: Annotated[list[str] | None, typer.Option("--user", help="A user id; may be repeated.")] = None,
    all_users: Annotated[bool, typer.Option("--all-users", help="Every user that training knew.")] = False,
    history: Annotated[str | None, typer.Option(help="Item ids, oldest first, comma-separated: a new user.")] = None,
    k: Annotated[int, typer.Option("-k", min=1, help="Items per user.")] = 10,
    output: Annotated[Format, typer.Option("--format", help="table, csv or json.")] = Format.table,
) -> None:
    """Recommend items to known users, or to a new user with a history."""
    from recsmith.artifacts.load import load_artifact
    from recsmith.cli.printing import say
    from recsmith.contracts.errors import PlanError
    from recsmith.wiring.stdout import stdout_aside

    if sum([users is not None, all_users, history is not None]) > 1:
        raise PlanError("give only one of --user, --all-users and --history.")
    with stdout_aside():
        answers = _answers(load_artifact(artifact), users, all_users, history, k)
    for answer in answers:
        if answer.source == "popularity":
            who = "the history" if answer.user_id is None else f"user {answer.user_id!r}"
            say(f"note: nothing is known of {who}: these are the most popular items.")
        for note in answer.notes:
            say(f"note: {note}")
    _print(answers, output)


def _answers(
    recommender: Recommender, users: list[str] | None, all_users: bool, history: str | None, k: int
) -> list[Recommendation]:
    if history is not None:
        items = [item.strip() for item in history.split(",") if item.strip()]
        return recommender.recommend(histories=[items], k=k)
    if all_users:
        return recommender.recommend(k=k)
    return recommender.recommend(user_ids=users or recommender.user_ids[:SHOWN].tolist(), k=k)


def _print(answers: list[Recommendation], output: Format) -> None:
    import csv
    import sys

    from recsmith.cli.printing import print_json, print_table

    if output is Format.json:
        print_json(
            [
                {"user_id": a.user_id, "source": a.source, "items": [{"item_id": i, "score": s} for i, s in _pairs(a)]}
                for a in answers
            ]
        )
        return
    rows = ((a.user_id, item, rank, score) for a in answers for rank, (item, score) in enumerate(_pairs(a), start=1))
    if output is Format.csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(("user_id", "item_id", "rank", "score"))
        writer.writerows(rows)
        return
    print_table("", ("user_id", "item_id", "rank", "score"), rows)


def _pairs(answer: Recommendation) -> Iterator[tuple[str, float]]:
    return zip(answer.items, (float(score) for score in answer.scores), strict=True)
