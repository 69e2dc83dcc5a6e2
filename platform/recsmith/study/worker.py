"""A trial in a worker: the registry is built again from the plan, plugin objects are never shipped."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from recsmith.study.trial import run_trial
from recsmith.wiring.plugins import LoadedPlugins, load_plugins

if TYPE_CHECKING:
    from recsmith.contracts.data import Fold
    from recsmith.contracts.plan import TrialPlan
    from recsmith.contracts.results import TrialResult
    from recsmith.search.work import Report


def run_planned(plan: TrialPlan, fold: Fold, report: Report) -> TrialResult:
    """`run_trial` with the plugins that the plan allows; an error bears a note of the plugin that it was raised in."""
    loaded = _loaded(plan.plugins, plan.without)
    try:
        return run_trial(plan, fold, loaded.registry, report)
    except (Exception, SystemExit) as error:
        if (culprit := loaded.culprit(error)) is not None:
            error.add_note(f"in plugin {culprit.name} ({culprit.distribution} {culprit.version})")
        raise


@lru_cache(maxsize=4)
def _loaded(only: tuple[str, ...] | None, without: tuple[str, ...]) -> LoadedPlugins:
    return load_plugins(only, without)
