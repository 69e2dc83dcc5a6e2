"""Who took how much, and when."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from recsmith.data.description.columns import moment
from recsmith.data.description.facts import Bar, InteractionFacts, even_bars, spread_of

if TYPE_CHECKING:
    from recsmith.contracts.data import LongArray
    from recsmith.data.coded import Dataset

STRETCHES = 24  # of time
DAY = 86_400


def interactions_of(dataset: Dataset) -> InteractionFacts:
    """Counts, density, histories, popularity and time."""
    users, items = np.bincount(dataset.user), np.bincount(dataset.item, minlength=len(dataset.item_ids))
    active, taken = int((users > 0).sum()), int((items > 0).sum())
    pairs = len(np.unique(dataset.user.astype(np.int64) * len(items) + dataset.item))
    stamps = dataset.timestamp
    return InteractionFacts(
        users=active,
        items=taken,
        untaken=len(items) - taken,
        interactions=len(dataset),
        density=pairs / (active * taken),
        first=None if stamps is None else _iso(int(stamps.min())),
        last=None if stamps is None else _iso(int(stamps.max())),
        histories=spread_of(users[users > 0]),
        popularity=spread_of(items[items > 0]),
        over_time=() if stamps is None else _over_time(stamps),
    )


def _iso(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def _over_time(stamps: LongArray) -> tuple[Bar, ...]:
    first, last = int(stamps.min()), int(stamps.max())
    if first == last:
        return (Bar(label=moment(first), count=len(stamps)),)
    edges = np.linspace(first, last, STRETCHES + 1)
    show = moment if last - first > STRETCHES * DAY else _minute
    return even_bars(stamps.astype(np.float64), edges.tolist(), [show(edge) for edge in edges[:-1]])


def _minute(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")
