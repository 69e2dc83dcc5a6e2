"""How a log was read, kept with what was learnt from it: later rows are read by it, and nothing is guessed anew."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recsmith.contracts.plan import Reading
from recsmith.data.names import IGNORED

if TYPE_CHECKING:
    from recsmith.contracts.plan import DataPlan
    from recsmith.data.coded import Dataset


def reading_of(dataset: Dataset, plan: DataPlan) -> Reading:
    """What `plan` said of the log and what was found in it; roles of table columns stand with the columns."""
    found = {role: dataset.columns.get(role, IGNORED) for role in ("user", "item", "timestamp", "value", "domain")}
    event = dataset.columns.get("event", IGNORED) if plan.columns.event_weights else IGNORED
    columns = plan.columns.model_copy(update={**found, "event": event, "items": {}, "users": {}, "context": {}})
    return Reading(columns=columns, min_value=plan.filter.min_value, order=plan.order)
