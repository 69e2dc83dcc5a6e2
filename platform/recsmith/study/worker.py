"""A trial in a worker: the registry is built again from the plan, plugin objects are never shipped."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from recsmith.study.trial import run_trial
from recsmith.wiring.plugins import load_plugins
from recsmith.wiring.registry import Registry, build_registry

if TYPE_CHECKING:
    from recsmith.contracts.data import Fold
    from recsmith.contracts.plan import TrialPlan
    from recsmith.contracts.results import TrialResult
    from recsmith.search.work import Report


def run_planned(plan: TrialPlan, fold: Fold, report: Report) -> TrialResult:
    """`run_trial` with the plugins that the plan allows."""
    return run_trial(plan, fold, _registry(plan.plugins, plan.without), report)


@lru_cache(maxsize=4)
def _registry(only: tuple[str, ...] | None, without: tuple[str, ...]) -> Registry:
    return build_registry(load_plugins(only, without).manager)
