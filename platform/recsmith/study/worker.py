"""A trial in a worker: the registry is built again from the plan, plugin objects are never shipped."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from socket import gethostname
from typing import TYPE_CHECKING

from recsmith.contracts.errors import PluginError
from recsmith.search.probe import load_named
from recsmith.study.memory import give_back
from recsmith.study.trial import run_trial
from recsmith.wiring.plugins import LoadedPlugins, load_plugins

if TYPE_CHECKING:
    from recsmith.contracts.data import Fold
    from recsmith.contracts.plan import TrialPlan
    from recsmith.contracts.results import TrialResult
    from recsmith.search.work import Report


def run_planned(plan: TrialPlan, fold: Fold, report: Report) -> TrialResult:
    """`run_trial` with the plugins that the plan allows; an error bears a note of the plugin that it was raised in."""
    loaded = _loaded(str(Path(plan.folder).parents[1]), plan.plugins, plan.without)
    try:
        return run_trial(plan, fold, loaded.registry, report)
    except (Exception, SystemExit) as error:
        if (culprit := loaded.culprit(error)) is not None:
            error.add_note(f"in plugin {culprit.name} ({culprit.distribution} {culprit.version})")
        elif isinstance(error, PluginError) and (lacking := _lacking(plan, loaded)):
            error.add_note(f"node {gethostname()} came without {lacking}: install there what the driver has")
        raise
    finally:
        give_back()


@lru_cache(maxsize=1)
def _loaded(_study: str, only: tuple[str, ...] | None, without: tuple[str, ...]) -> LoadedPlugins:
    """Once for each study: another may come when more is installed."""
    return load_plugins(without=without) if only is None else load_named(only, without)


def _lacking(plan: TrialPlan, loaded: LoadedPlugins) -> str:
    """The plugins of the driver that cannot be used here, as on a node that joined after the probe."""
    here = {info.name for info in loaded.found if info.state == "active"}
    return ", ".join(name for name in plan.plugins or () if name not in here)
