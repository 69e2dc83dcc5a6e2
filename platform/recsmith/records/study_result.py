"""What a study found, in `result.json` of its folder: written last, when the artifact is in place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recsmith.contracts.results import StudyResult
from recsmith.records.atomic import write_whole

if TYPE_CHECKING:
    from pathlib import Path

NAME = "result.json"


def write_study_result(folder: Path, result: StudyResult) -> None:
    """Write the result whole."""
    write_whole(folder / NAME, result.model_dump_json(indent=2).encode())


def read_study_result(folder: Path) -> StudyResult | None:
    """The result; None while the study has not ended."""
    path = folder / NAME
    return StudyResult.model_validate_json(path.read_bytes()) if path.exists() else None
