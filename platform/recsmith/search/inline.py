"""The executor in this process, one trial after the other: for tests, debugging and tiny studies.

It outlives exceptions, but not a trial that ends the interpreter or never returns: that takes Ray.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from recsmith.search.work import work

if TYPE_CHECKING:
    from recsmith.contracts.results import EpochReport
    from recsmith.search.searcher import Searcher, Task


def run_inline(searcher: Searcher, task: Task) -> None:
    """Run trials until the searcher hands out none."""
    while (plan := searcher.next()) is not None:
        number = plan.number

        def exchange(report: EpochReport, number: int = number) -> str | None:
            return searcher.heard(number, report)

        result = None
        try:
            result = work(plan, task.run, task.shared, exchange)
        finally:
            searcher.finish(number, result)  # a second Ctrl-C comes through here as well: the trial is queued again
