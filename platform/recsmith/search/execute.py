"""The search: trials from the record through an executor and back, until the budget is used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recsmith.search.inline import run_inline
from recsmith.search.interruption import interruption
from recsmith.search.ray_session import ray_session
from recsmith.search.searcher import Ending, Listener, Searcher, Task
from recsmith.search.threads import threads_for

if TYPE_CHECKING:
    from recsmith.contracts.plan import Budget, Engine
    from recsmith.records.study_record import StudyRecord


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
