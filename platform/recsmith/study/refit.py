"""The end of a study: the chosen configuration is learnt again on more rows, judged once, and saved."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from recsmith.artifacts.save import EncodedColumn, Member, save_artifact
from recsmith.contracts.artifact import ArtifactFacts
from recsmith.contracts.errors import StudyError
from recsmith.contracts.results import TrialResult
from recsmith.data.reading import reading_of
from recsmith.evaluation.judge import judge
from recsmith.search.suggest import derive_seed
from recsmith.study.prepare import learn, prepare

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from recsmith.contracts.config import Choice
    from recsmith.contracts.data import Fold
    from recsmith.contracts.results import Figure
    from recsmith.records.study_view import StudyView, TrialRow
    from recsmith.study.prepare import Prepared
    from recsmith.study.setup import Setup


def candidates(view: StudyView) -> Iterator[tuple[TrialRow, TrialResult]]:
    """The trials that may be exported with their full results, the best first.

    Where time was up before any trial was complete, it is the best epoch of those that had begun.

    Raises:
        StudyError: no trial has finished an epoch.
    """
    ranked = view.ranked()
    if not ranked:
        yield _furthest(view)
    for row in ranked:
        yield row, _full(view, row)


def chosen(view: StudyView, number: int) -> tuple[TrialRow, TrialResult]:
    """The complete trial of that number, with its full result.

    Raises:
        StudyError: there is no such trial, or it is not complete.
    """
    row = next((row for row in view.rows() if row.number == number), None)
    if row is None or row.state != "complete":
        complete = ", ".join(str(row.number) for row in view.rows() if row.state == "complete") or "none"
        raise StudyError(f"{view.folder}: trial {number} is not a complete trial. Complete: {complete}.")
    return row, _full(view, row)


def _full(view: StudyView, row: TrialRow) -> TrialResult:
    result = view.result(row.root)
    if result is None:
        raise StudyError(f"{view.folder}/trials/{row.root}: result.json is missing; the trial cannot be learnt again.")
    return result.model_copy(update={"number": row.number})


def _furthest(view: StudyView) -> tuple[TrialRow, TrialResult]:
    sign = 1.0 if view.direction == "maximize" else -1.0
    found: list[tuple[float, TrialRow, TrialResult]] = []
    for row in view.rows():
        history = view.trial_folder(row.root).history()
        if row.state in ("pruned", "retried") and row.configuration is not None and history:
            best = max(history, key=lambda epoch: sign * epoch.metrics[view.plan.aim])
            value = best.metrics[view.plan.aim]
            result = TrialResult(
                number=row.number,
                root=row.root,
                state="pruned",
                configuration=row.configuration,
                best_epoch=best.epoch,
                value=value,
                metrics=best.metrics,
                history=tuple(history),
                seconds=sum(epoch.seconds for epoch in history),
            )
            found.append((sign * value, row, result))
    if not found:
        raise StudyError(f"{view.folder}: no trial is complete. {_why_not(view)}")
    _, row, result = max(found, key=lambda entry: entry[0])
    return row, result


def learn_again(result: TrialResult, fold: Fold, setup: Setup) -> Prepared:
    """The trial's configuration learnt on the fold's training rows, as long as it took to its best epoch.

    Seed and learning-rate factors are those of the trial: a schedule that listened to validation scores has none here.
    """
    seed = derive_seed(setup.plan.seed, result.root)
    prepared = prepare(result.configuration, fold, setup.registry, seed=seed, device=setup.device, cache=setup.cache)
    factors = [epoch.factors for epoch in result.history[: result.best_epoch]]
    for _ in learn(prepared, fold.train, factors=factors):
        pass
    return prepared


def judge_once(prepared: Prepared, fold: Fold, setup: Setup) -> dict[str, Figure]:
    """Every figure on the test split, with its interval."""
    plan = setup.plan
    evaluation = judge(
        prepared.serving, fold, setup.metrics, setup.registry, scenario=plan.scenario, mask_seen=plan.mask_seen
    )
    return evaluation.intervals(plan.seed)


def save(
    destination: Path,
    prepared: Prepared,
    fold: Fold,
    setup: Setup,
    *,
    view: StudyView,
    result: TrialResult,
    test: dict[str, Figure],
    refit: Literal["train+valid", "all"],
) -> Path:
    """Write the artifact."""
    plan = setup.plan
    facts = ArtifactFacts(
        study=plan.name,
        trial=result.number,
        scenario=plan.scenario,
        mask_seen=plan.mask_seen,
        domain=setup.split.domain,
        objective=plan.aim,
        metrics=test,
        split=setup.split.splitter.name,
        split_hash=setup.split.hash,
        data_fingerprint=setup.dataset.fingerprint,
        seeds={"plan": plan.seed},
        search_trials=view.finished(),
        search_seconds=round(view.seconds, 1),
        refit=refit,
        epochs=None if prepared.training is None else result.best_epoch,
        reading=reading_of(setup.dataset, plan.data),
    )
    member = member_of(result.configuration, prepared)
    if setup.device != "cpu":  # an artifact is read back on the CPU, where another device's sums differ in the last bit
        member = replace(member, model=None)
    return save_artifact(destination, [member], fold, setup.registry, facts=facts)


def member_of(configuration: Choice, prepared: Prepared) -> Member:
    """A model that has learnt, as plain data."""
    columns = {
        (table, name): EncodedColumn(
            encoded.content.features[name], encoder.state(), learns=name in encoded.content.encoders
        )
        for table, encoded in prepared.content.items()
        for name, encoder in encoded.encoders.items()
    }
    return Member(configuration, prepared.model.state(), columns, model=prepared.serving)


def _why_not(view: StudyView) -> str:
    reasons = sorted({f"{row.model}: {row.reason}" for row in view.rows() if row.reason})
    return "Reasons: " + "; ".join(reasons) if reasons else "Give it a larger budget."
