"""`recsmith memory`: what studies of other data sets found, kept for the next one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from recsmith.records.study_store import RememberedStudy, StudyStore

app = typer.Typer(help="The memory of studies: what worked on which data set.", no_args_is_help=True)

Place = Annotated[
    Path | None, typer.Option("--dir", metavar="DIR", help="The memory; RECSMITH_MEMORY or the user's where left out.")
]
Keys = Annotated[list[str] | None, typer.Argument(metavar="KEY…", help="How the key of a study begins.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def add(
    studies: Annotated[list[Path], typer.Argument(metavar="STUDY_DIR…", help="The folders of studies.")],
    place: Place = None,
) -> None:
    """Add studies that were run without a memory; one that is known already is brought up to date."""
    from recsmith.cli.printing import say
    from recsmith.records.study_store import SHOWN
    from recsmith.study.recall import remembered_folder
    from recsmith.wiring.stdout import stdout_aside

    store = _store(place)
    with stdout_aside():
        found = [remembered_folder(folder) for folder in studies]  # every one before the first is written
    store.prepare()
    for study in found:
        store.add(study)
        say(f"remembered: {study.name} ({study.key[:SHOWN]}), {len(study.trials)} trials")


@app.command(name="list")
def list_(place: Place = None, as_json: AsJson = False) -> None:
    """Tell which studies are remembered."""
    from recsmith.cli.printing import print_json, print_table, say
    from recsmith.records.study_store import SHOWN

    store = _store(place)
    studies, faults = store.read()
    if as_json:
        print_json([_line(study) for study in studies])
    else:
        columns = ("key", "name", "added", "interactions", "objective", "trials", "best model", "best")
        rows = [[_line(study)[column] for column in columns[1:]] for study in studies]
        keys = [study.key[:SHOWN] for study in studies]
        print_table(f"memory: {store.folder}", columns, [(key, *row) for key, row in zip(keys, rows, strict=True)])
    for fault in faults:
        say(f"{fault.path}: left aside: {fault.reason}")


@app.command()
def show(
    key: Annotated[str, typer.Argument(metavar="KEY", help="How the key of a study begins.")],
    place: Place = None,
    as_json: AsJson = False,
) -> None:
    """Tell all that is remembered of a study: everything that its file holds."""
    from recsmith.cli.printing import print_json, print_table

    study = _store(place).find(key)
    if as_json:
        print_json(study.model_dump(mode="json"))
        return
    print_table("", ("study", study.name), [(name, value) for name, value in _line(study).items() if name != "name"])
    print_table("meta-features", ("feature", "value"), study.meta_features.items())
    rows = [(t.configuration.name, t.state, t.metrics.get(study.objective), t.seconds) for t in study.ranked()]
    print_table("trials", ("model", "state", f"valid {study.objective}", "seconds"), rows)


@app.command()
def forget(
    keys: Keys = None,
    every: Annotated[bool, typer.Option("--all", help="Forget every study.")] = False,
    place: Place = None,
) -> None:
    """Delete studies from the memory; their folders stay as they are."""
    from recsmith.cli.printing import say
    from recsmith.records.study_store import SHOWN

    if bool(keys) == every:
        raise typer.BadParameter("name studies by their keys, or all of them by --all.")
    store = _store(place)
    studies = store.read()[0] if every else [store.find(key) for key in keys or ()]
    store.forget(studies)
    for study in studies:
        say(f"forgotten: {study.name} ({study.key[:SHOWN]})")


def _store(place: Path | None) -> StudyStore:
    from recsmith.records.study_store import StudyStore

    return StudyStore.at(place)


def _line(study: RememberedStudy) -> dict[str, str | int | float | None]:
    """A study in a few words, by column."""
    best = next(iter(study.ranked()), None)
    return {
        "key": study.key,
        "name": study.name,
        "added": study.added[:10],
        "scenario": study.scenario,
        "objective": study.objective,
        "interactions": round(10 ** study.meta_features.get("interactions", 0.0)),
        "trials": len(study.trials),
        "best model": None if best is None else best.configuration.name,
        "best": None if best is None else best.metrics.get(study.objective),
    }
