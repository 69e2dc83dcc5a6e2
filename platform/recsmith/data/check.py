"""What `recsmith data check` says about a log, as plain data."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from recsmith.contracts.results import Result
from recsmith.data.split import FEWEST, WITH_TABLE

if TYPE_CHECKING:
    from recsmith.contracts.data import Column
    from recsmith.contracts.plan import Plan
    from recsmith.data.coded import Dataset

REPEATS_WORTH_SAYING = 0.2
LEAVE_OUT_SHARE = 0.5  # of users too short to be judged, from which on it is worth a warning


class ColumnReport(Result):
    """One column and its role."""

    table: str  # "interactions", "items", "users"
    name: str
    role: str
    missing: float  # share of rows without a value
    example: str


class CheckReport(Result):
    """Counts, columns and warnings of one log."""

    source: str
    reader: str
    users: int  # with at least one interaction, after the filter
    items: int
    interactions: int
    density: float  # distinct user-item pairs over users x items
    first: str | None  # ISO moment in UTC; None without timestamps
    last: str | None
    ordered: bool
    repeat_share: float
    short_users: int  # of fewer than 3 interactions: they train but are not judged
    columns: tuple[ColumnReport, ...]
    notes: tuple[str, ...]
    warnings: tuple[str, ...]
    fingerprint: str

    def rows(self) -> list[tuple[str, str]]:
        """Label and figure of every line of the summary, for a table."""
        span = "no timestamps" if self.first is None else f"{self.first} to {self.last}"
        return [
            ("source", f"{self.source} (reader {self.reader})"),
            ("users", f"{self.users:,}"),
            ("items", f"{self.items:,}"),
            ("interactions", f"{self.interactions:,}"),
            ("density", f"{self.density:.4%}"),
            ("time", span),
            ("order", "yes" if self.ordered else "none"),
            ("repeats", f"{self.repeat_share:.1%}"),
            ("users under 3", f"{self.short_users:,}"),
            ("fingerprint", self.fingerprint[:16]),
        ]


def check(dataset: Dataset, plan: Plan) -> CheckReport:
    """Describe a loaded log and warn of what `plan` would make of it."""
    counts = np.bincount(dataset.user)
    users, items = int((counts > 0).sum()), len(np.unique(dataset.item))
    pairs = len(np.unique(dataset.user.astype(np.int64) * len(dataset.item_ids) + dataset.item))
    short = int(((counts > 0) & (counts < FEWEST)).sum())
    stamps = dataset.timestamp
    repeats = dataset.repeat_share()
    return CheckReport(
        source=dataset.source,
        reader=dataset.reader,
        users=users,
        items=items,
        interactions=len(dataset),
        density=pairs / (users * items),
        first=None if stamps is None else _moment(int(stamps.min())),
        last=None if stamps is None else _moment(int(stamps.max())),
        ordered=dataset.ordered,
        repeat_share=repeats,
        short_users=short,
        columns=_columns(dataset),
        notes=dataset.notes,
        warnings=tuple(_warnings(dataset, plan, repeats, short / users)),
        fingerprint=dataset.fingerprint,
    )


def _moment(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def _columns(dataset: Dataset) -> tuple[ColumnReport, ...]:
    log = [("interactions", name, role, 0.0, "") for role, name in dataset.columns.items()]
    log += [
        ("interactions", name, f"{role} (not used; name it in data.columns.context)", 0.0, "")
        for name, role in dataset.left_aside.items()
    ]
    told = [ColumnReport(table=t, name=n, role=r, missing=m, example=e) for t, n, r, m, e in log]
    for table, columns in (("interactions", dataset.context), ("items", dataset.items), ("users", dataset.users)):
        told += [_told(table, column) for column in columns]
    return tuple(told)


def _told(table: str, column: Column) -> ColumnReport:
    if column.role == "vector":
        gone = ~column.values.any(axis=1)
    elif column.values.dtype == object:
        gone = np.array([value is None for value in column.values], bool)
    else:
        gone = np.isnan(column.values)
    there = np.flatnonzero(~gone)
    example = str(column.values[there[0]])[:40] if len(there) else ""
    return ColumnReport(table=table, name=column.name, role=column.role, missing=float(gone.mean()), example=example)


def _warnings(dataset: Dataset, plan: Plan, repeats: float, short: float) -> list[str]:
    warnings = []
    if repeats > REPEATS_WORTH_SAYING and plan.mask_seen:
        warnings.append(
            f"{repeats:.0%} of the interactions to be predicted repeat an item that the user already had. With seen "
            "items masked each counts as a miss: set `mask_seen: false` for repeat consumption."
        )
    if short > LEAVE_OUT_SHARE:
        warnings.append(f"{short:.0%} of the users have fewer than {FEWEST} interactions and are not judged.")
    if dataset.timestamp is not None and dataset.timestamp.min() == dataset.timestamp.max():
        warnings.append("all timestamps are equal, so the order is that of the rows.")
    if plan.scenario == "rating" and dataset.value is None:
        warnings.append("the scenario rating needs ratings, and the log has none.")
    if plan.scenario in WITH_TABLE and not dataset.items:
        warnings.append(f"the scenario {plan.scenario} needs an item table, and the log has none.")
    if plan.scenario == "cross_domain" and dataset.domain is None:
        warnings.append("the scenario cross_domain needs domains, and the log has none: `data.columns.domain`.")
    return warnings
