"""The search: trials from the record through an executor and back, until the budget is used."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from recsmith.search.inline import run_inline
from recsmith.search.interruption import interruption
from recsmith.search.ray_session import is_ours, ray_session
from recsmith.search.searcher import Ending, Listener, Searcher, Task
from recsmith.search.threads import threads_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from recsmith.contracts.plan import Budget, Engine
    from recsmith.records.study_record import StudyRecord
    from recsmith.wiring.plugins import LoadedPlugins


@contextmanager
def nodes_ready(engine: Engine, loaded: LoadedPlugins, folder: Path) -> Iterator[None]:
    """Reach a Ray that others started, and see before anything is written that its nodes can run the study.

    This process, and a Ray of our own on this machine, have the driver's environment: there is nothing to see.

    Raises:
        PluginError: a node lacks what the driver has.
        StudyError: Ray cannot be reached, or no node can run a trial.
    """
    if engine.name == "inline" or is_ours(engine):
        yield
        return
    with ray_session(engine):
        from recsmith.search.probe import probe

        probe(engine, loaded, folder)
        yield


def search(
    record: StudyRecord, task: Task, *, budget: Budget, engine: Engine, listener: Listener | None = None
) -> Ending:
    """Run trials until the budget is used or somebody interrupts.

    Args:
        record: the open record; a resumed one goes on where it ended.
        task: what is searched for, and how a trial is run.
        budget: trials in all, and running time of the study in all, those of earlier drivers included.
        engine: Ray, or this process.
        listener: hears of epochs and trials.

    Returns:
        What ended the search. No trial is left running.

    Raises:
        StudyError: Ray cannot be started, or a trial asks for more than the machine has.
    """
    if engine.name == "inline":
        searcher = Searcher(record, task, budget, listener or Listener())
        with threads_for(engine.cpus_per_trial), interruption(searcher.interrupt):
            run_inline(searcher, task)
        return searcher.ending or "trials"
    with ray_session(engine):  # before all else that imports Ray, and before our handler: Ray sets one for SIGTERM
        from recsmith.search.ray_engine import run_on_ray

        searcher = Searcher(record, task, budget, listener or Listener())
        with interruption(searcher.interrupt):
            run_on_ray(searcher, task, engine)
    return searcher.ending or "trials"
