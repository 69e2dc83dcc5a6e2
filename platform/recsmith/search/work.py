"""One trial from the executor's side: the same in this process and in a Ray worker."""

from __future__ import annotations

import math
import time
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from recsmith.contracts.errors import NotFiniteError
from recsmith.contracts.results import EpochReport, TrialResult
from recsmith.records.trial_folder import DISOWNED, TrialFolder

if TYPE_CHECKING:
    from recsmith.contracts.plan import TrialPlan

Report = Callable[[EpochReport], bool]  # False: the trial must end now, in order
Run = Callable[["TrialPlan", Any, Report], TrialResult]  # the plan, what all trials share, how to report

PRUNED = "pruned"  # the order that ends a trial for good; after any other order it is queued again
TIME_IS_UP = "time is up"
INTERRUPTED = "interrupted"

_MEMORY_SIGNS = ("out of memory", "not enough memory", "can't allocate memory")  # what torch says without a type


def work(
    plan: TrialPlan, run: Run, shared: object, exchange: Callable[[EpochReport], str | None]
) -> TrialResult | None:
    """Run one trial and write its result into its folder.

    Args:
        plan: the trial.
        run: does the work; calls report after every epoch and returns how the trial ended.
        shared: what every trial gets besides its plan (the fold).
        exchange: tells the driver of an epoch and returns its order; None to go on.

    Returns:
        The result; None when the trial was stopped before its end and is to be queued again.
    """
    folder = TrialFolder(plan.folder)
    if (known := folder.result()) is not None:
        return known.model_copy(update={"number": plan.number})  # it ended under a driver that could not tell
    orders = [order] if (order := folder.stop_order(plan.number)) else []

    def report(epoch: EpochReport) -> bool:
        folder.append(epoch)
        order = exchange(epoch)
        if order is None and plan.deadline is not None and time.time() >= plan.deadline:
            order = TIME_IS_UP
        if order is not None and not epoch.last:
            orders.append(order)
        return not orders

    result = None if orders else _attempt(plan, run, shared, report)
    if result is None or any(order != PRUNED for order in orders) or folder.stop_order(plan.number) == DISOWNED:
        return None
    result = _sealed(result, plan, pruned=bool(orders))
    folder.write_result(result)
    folder.drop_checkpoint()
    return result


def _attempt(plan: TrialPlan, run: Run, shared: object, report: Report) -> TrialResult:
    try:
        return run(plan, shared, report)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a plugin may raise anything, and the study goes on
        return failure(plan, error)


def failure(plan: TrialPlan, error: BaseException) -> TrialResult:
    """What a trial comes to that raised `error`; the notes that it bears belong to the reason."""
    text = "; ".join([f"{type(error).__name__}: {error}", *getattr(error, "__notes__", ())])
    memory = isinstance(error, MemoryError) or any(sign in text.lower() for sign in _MEMORY_SIGNS)
    infeasible = memory or isinstance(error, NotFiniteError)
    reason = f"out of memory ({text})" if memory else str(error) if infeasible else text
    return TrialResult(
        number=plan.number,
        root=plan.root,
        state="pruned" if infeasible else "failed",
        reason=reason,
        traceback=None if infeasible else "".join(traceback.format_exception(error)),
        infeasible=infeasible,
        configuration=plan.configuration,
        history=tuple(TrialFolder(plan.folder).history()),
    )


def _sealed(result: TrialResult, plan: TrialPlan, *, pruned: bool) -> TrialResult:
    facts: dict[str, Any] = {"number": plan.number, "root": plan.root}
    if result.state == "complete" and pruned:
        facts |= {"state": "pruned", "reason": f"successive halving ended it at epoch {len(result.history)}"}
    elif result.state == "complete" and (result.value is None or not math.isfinite(result.value)):
        facts |= {"state": "pruned", "infeasible": True, "reason": f"{plan.objective} is {result.value}"}
    return result.model_copy(update=facts)
