"""What a running study says: lines for people on standard error, JSON lines for scripts on standard output."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, TextIO

from recsmith.cli.printing import cell, say
from recsmith.contracts.hooks import hookimpl

if TYPE_CHECKING:
    from pathlib import Path

    from recsmith.contracts.plan import Plan
    from recsmith.contracts.results import EpochReport, StudyResult, TrialResult


class Lines:
    """One line for every trial: done, running, pruned, best so far, time left."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @hookimpl
    def study_started(self, plan: Plan) -> None:
        """Say what begins."""
        from recsmith.records.study_view import StudyView

        self.view = StudyView.open(self.folder)
        self.plan = plan
        limit = [f"{plan.budget.most_trials} trials"] if plan.budget.most_trials else []
        limit += [f"{plan.budget.time:.0f} s"] if plan.budget.time else []
        done = self.view.finished()
        again = f"resumed after {done} trials, " if done else ""
        models = ", ".join(self.view.space.root.options)
        say(f"{plan.name}: {again}{plan.scenario}, {' or '.join(limit)}, models: {models}")
        for left in self.view.space.left_out:
            say(f"  left out: {left.path}: {left.reason}")

    @hookimpl
    def trial_finished(self, result: TrialResult) -> None:
        """Say how a trial ended and how the study stands."""
        counts = self.view.counts()
        best = self.view.best()
        ended = f"{result.state}" + (f" ({result.reason})" if result.reason else "")
        standing = [f"{counts['complete']} complete", f"{counts['pruned']} pruned"]
        standing += [f"{counts['failed']} failed"] if counts["failed"] else []
        standing += [f"{counts['running']} running"] if counts["running"] else []
        leader = f"best {cell(best.value)} {best.model}" if best else "no best yet"
        say(
            f"  {result.number:>4} {result.configuration.name:<14} {cell(result.value):>8}  {result.seconds:6.1f} s  "
            f"{ended} | {', '.join(standing)} | {leader}{self._left()}"
        )

    @hookimpl
    def study_finished(self, result: StudyResult) -> None:
        """Say that it is over, and who won the search but cannot be served."""
        for over in result.passed_over:
            say(f"  passed over: trial {over.number}: {over.reason}")
        say(f"{result.name}: finished after {result.seconds:.0f} s; artifact: {result.artifact}")

    def _left(self) -> str:
        budget = self.plan.budget
        if budget.time:
            return f" | {max(0.0, budget.time - self.view.seconds):.0f} s left"
        return ""


class JsonLines:
    """Every event as one JSON object on a line of `out`."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    @hookimpl
    def study_started(self, plan: Plan) -> None:
        """The plan."""
        self._write("study_started", plan=plan.model_dump(mode="json"))

    @hookimpl
    def epoch_finished(self, trial: int, report: EpochReport) -> None:
        """An epoch of a trial."""
        self._write("epoch_finished", trial=trial, **report.model_dump(mode="json"))

    @hookimpl
    def trial_finished(self, result: TrialResult) -> None:
        """A trial without its history, which stood in the epochs."""
        self._write("trial_finished", **result.model_dump(mode="json", exclude={"history"}))

    @hookimpl
    def study_finished(self, result: StudyResult) -> None:
        """The result."""
        self._write("study_finished", **result.model_dump(mode="json", exclude={"best": {"history"}}))

    def _write(self, event: str, **facts: object) -> None:
        self._out.write(json.dumps({"event": event, **facts}) + "\n")
        self._out.flush()
