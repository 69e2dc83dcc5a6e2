"""`recsmith study`: run, resume and show studies."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from recsmith.contracts.plan import Plan
    from recsmith.updates.streaming import Streamed

NAMED = 3  # unreadable files that are named

app = typer.Typer(help="Studies: search, refit, judge, save.", no_args_is_help=True)

Quiet = Annotated[bool, typer.Option("--quiet", help="Say nothing while it runs.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def run(
    source: Annotated[str, typer.Argument(metavar="PLAN.yaml|DATA", help="A plan, or the file or folder of a log.")],
    output: Annotated[Path | None, typer.Option("-o", "--output", metavar="DIR", help="The study's folder.")] = None,
    trials: Annotated[int | None, typer.Option(help="How many trials.")] = None,
    time: Annotated[str | None, typer.Option(help="How long in all: 90s, 10m, 2h.")] = None,
    scenario: Annotated[
        str | None, typer.Option(help="next_item, rating, cold_user, cold_item, both_cold, cross_domain or streaming.")
    ] = None,
    space: Annotated[str | None, typer.Option(help="A name in search_spaces/, or a YAML file.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="a.b=c in the plan or, model.…, the space.")
    ] = None,
    memory: Annotated[
        bool, typer.Option("--memory", help="Begin with what worked on like data, and remember this study.")
    ] = False,
    memory_dir: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The same, with the memory in this folder.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of everything random.")] = None,
    engine: Annotated[str | None, typer.Option(help="ray or inline.")] = None,
    plugins: Annotated[
        list[str] | None, typer.Option("--plugins", metavar="NAME", help="Use only this plugin or distribution.")
    ] = None,
    without: Annotated[
        list[str] | None, typer.Option("--without", metavar="NAME", help="Do without this plugin or distribution.")
    ] = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Search, refit the best, judge it on the test split and save its artifact; the same command resumes."""
    from recsmith.contracts.plan import USUAL_MEMORY
    from recsmith.wiring.plan import load_plan

    changes = {
        "budget.trials": trials,
        "budget.time": time,
        "scenario": scenario,
        "space": space,
        "memory": str(memory_dir.expanduser().absolute()) if memory_dir else USUAL_MEMORY if memory else None,
        "seed": seed,
        "engine.name": engine,
        "plugins": plugins,
        "without": without,
    }
    plan = load_plan(source, changes, settings or ())
    _run(plan, output or Path(f"{plan.name}-study"), quiet=quiet, as_json=as_json)


@app.command()
def resume(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The study's folder.")],
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Go on with a study that was stopped."""
    from recsmith.records.study_view import StudyView

    _run(StudyView.open(folder).plan, folder, quiet=quiet, as_json=as_json)


@app.command()
def show(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The study's folder.")], as_json: AsJson = False
) -> None:
    """Tell what a study did and found so far."""
    from recsmith.cli.printing import print_json, print_table
    from recsmith.study.show import summarise

    summary = summarise(folder)
    if as_json:
        print_json(summary)
        return
    counts = ", ".join(f"{count} {state}" for state, count in summary["counts"].items() if count)
    print_table("", ("study", summary["name"]), [("state", summary["state"]), ("trials", counts)])
    _print_trials(summary)
    _print_features(summary)
    _print_test(summary)


@app.command()
def stream(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The study's folder.")],
    blocks: Annotated[int, typer.Option(min=3, help="Blocks of equal size over time.")] = 5,
    trial: Annotated[int | None, typer.Option(help="A trial's number; the best one otherwise.")] = None,
    epochs: Annotated[int, typer.Option(min=1, help="Epochs of an update.")] = 6,
    replay: Annotated[float, typer.Option(min=0, max=1, help="Share of the other users who are learnt again.")] = 0.3,
    rate: Annotated[float, typer.Option(min=0.001, max=10, help="Factor on the learning rate of an update.")] = 0.3,
    as_json: AsJson = False,
) -> None:
    """Judge the best configuration over time: never updated, updated, learnt anew."""
    from recsmith.updates.settings import UpdateSettings
    from recsmith.updates.streaming import stream_study
    from recsmith.wiring.stdout import stdout_aside

    settings = UpdateSettings(epochs=epochs, replay=replay, rate=rate)
    with stdout_aside():
        found = stream_study(folder, settings, blocks=blocks, trial=trial)
    _print_streamed(found, as_json=as_json)


def _print_streamed(found: Streamed, *, as_json: bool) -> None:
    from recsmith.cli.printing import print_json, print_table

    names = ("block", "policy", "requests", found.objective, "low", "high", "seconds", "gain on old rows")
    rows = [
        (
            each.block,
            each.policy,
            len(each.evaluation.user_num),
            *(each.figure.value, each.figure.low, each.figure.high),
            each.seconds,
            None if each.forgetting is None else each.forgetting.gain,
        )
        for each in found.blocks
    ]
    if as_json:
        compared = {rival: each.model_dump() for rival, each in found.differences.items()}
        blocks = [dict(zip(names, row, strict=True)) for row in rows]
        print_json({"model": found.model, "objective": found.objective, "blocks": blocks, "update_against": compared})
        return
    print_table(f"{found.model} over time", names, rows)
    for rival, each in found.differences.items():
        typer.echo(
            f"update - {rival}: {each.gain:+.4f} ({each.low:+.4f} to {each.high:+.4f}), {each.requests} requests"
        )


def _print_trials(summary: dict[str, Any]) -> None:
    from recsmith.cli.printing import print_table

    objective = summary["objective"]
    rows = [
        (trial["number"], trial["state"], trial["model"], trial["metrics"].get(objective), trial["seconds"])
        for trial in summary["trials"]
    ]
    print_table("trials", ("number", "state", "model", f"valid {objective}", "seconds"), rows)
    for note in (summary["memory"] or {}).get("notes", ()):
        typer.echo(f"memory: {note}")


def _print_features(summary: dict[str, Any]) -> None:
    from recsmith.cli.printing import print_table

    rows = [
        (row["table"], row["column"], row["encoder"], row["rows"], row["encoded"], row["read"], row["seconds"])
        for row in summary["features"]
    ]
    if rows:
        print_table("features", ("table", "column", "encoder", "rows", "encoded", "read", "seconds"), rows)
    for column, faults in summary["unreadable"].items():
        first = "; ".join(f"{path.rpartition('/')[2]}: {why}" for path, why in list(faults.items())[:NAMED])
        more = "; … (all of them: --json)" if len(faults) > NAMED else "."
        typer.echo(f"{column}: {len(faults)} files could not be read and count as missing: {first}{more}")


def _print_test(summary: dict[str, Any]) -> None:
    from recsmith.cli.printing import print_table

    for over in summary["passed_over"]:
        typer.echo(f"passed over: trial {over['number']}: {over['reason']}")
    if summary["test"]:
        rows = [(name, figure["value"], figure["low"], figure["high"]) for name, figure in summary["test"].items()]
        print_table(f"test: {summary['best']['model']}", ("metric", "value", "low", "high"), rows)
        typer.echo(f"artifact: {summary['artifact']}")


def _run(plan: Plan, folder: Path, *, quiet: bool, as_json: bool) -> None:
    from recsmith.cli.progress import JsonLines, Lines
    from recsmith.study.study import run_study
    from recsmith.wiring.stdout import stdout_aside

    with stdout_aside() as out:
        observer = JsonLines(out) if as_json else None if quiet else Lines(folder)
        run_study(plan, folder, observers=() if observer is None else (observer,))
    if not quiet and not as_json:
        show(folder)
