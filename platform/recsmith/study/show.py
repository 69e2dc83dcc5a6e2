"""A study as plain data, for `study show` and for scripts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from recsmith.data.feature_cache import FeatureCache
from recsmith.records.driver_lock import is_held
from recsmith.records.study_result import read_study_result
from recsmith.records.study_view import StudyView, TrialRow
from recsmith.study.setup import FEATURES

if TYPE_CHECKING:
    from pathlib import Path

    from recsmith.data.feature_cache import Use


def summarise(folder: Path) -> dict[str, Any]:
    """What a study did and found so far; takes no lock and writes nothing.

    Raises:
        StudyError: there is no study in the folder.
    """
    view = StudyView.open(folder)
    result = read_study_result(folder)
    cache = FeatureCache(folder / FEATURES)
    rows = view.rows()
    best = next(row for row in rows if row.number == result.best.number) if result else view.best()
    return {
        "name": view.plan.name,
        "state": "running" if is_held(folder) else "finished" if result else "stopped",
        "objective": view.plan.aim,
        "counts": view.counts(),
        "trials": [_trial(row) for row in rows],
        "best": _trial(best) if best else None,
        "test": {name: figure.model_dump() for name, figure in result.test.items()} if result else {},
        "split_hash": view.attributes["split_hash"],
        "artifact": result.artifact if result else None,
        "passed_over": [over.model_dump() for over in result.passed_over] if result else [],
        "seconds": round(view.seconds, 1),
        "memory": _memory(view),
        "left_out": [left.model_dump() for left in view.space.left_out],
        "features": _features(cache.uses()),
        "unreadable": cache.faults(),
    }


def _memory(view: StudyView) -> dict[str, Any] | None:
    """What was taken from the memory of other studies; None where none was asked for."""
    recalled = view.recalled
    if recalled is None:
        return None
    return {"trials": sum(first.origin == "memory" for first in recalled.first), "notes": list(recalled.notes)}


def _features(uses: list[Use]) -> list[dict[str, Any]]:
    """How often each column was encoded, and how often what was kept was read instead."""
    found: dict[str, dict[str, Any]] = {}
    for use in uses:
        row = found.setdefault(
            use.key,
            {
                "table": use.table,
                "column": use.column,
                "encoder": use.encoder,
                "rows": use.rows,
                "encoded": 0,
                "read": 0,
                "seconds": 0.0,
                "unreadable": len(use.faults),
            },
        )
        row[use.event] += 1
        row["seconds"] = round(row["seconds"] + (use.seconds if use.event == "encoded" else 0.0), 3)
    return sorted(found.values(), key=lambda row: (row["table"], row["column"], row["encoder"]))


def _trial(row: TrialRow) -> dict[str, Any]:
    return {
        "number": row.number,
        "state": row.state,
        "origin": row.origin,
        "model": row.model,
        "params": row.params,
        "metrics": row.metrics,
        "seconds": row.seconds,
        "best_epoch": row.best_epoch,
        "reason": row.reason,
    }
