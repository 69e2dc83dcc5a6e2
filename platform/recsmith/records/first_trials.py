"""What a study tries before its sampler proposes anything, as the study keeps it."""

from __future__ import annotations

from typing import Any, Literal

from recsmith.contracts.results import Result


class First(Result):
    """One trial of the beginning."""

    origin: Literal["default", "memory"]
    model: str
    point: dict[str, Any]  # live parameters by full path


class Recalled(Result):
    """What a study took from the memory when it began; it never looks again."""

    meta_features: dict[str, float]  # of its own data set
    first: tuple[First, ...]  # in this order, as far as a third of the budget goes
    notes: tuple[str, ...]  # sentences: what was used, moved and left aside
