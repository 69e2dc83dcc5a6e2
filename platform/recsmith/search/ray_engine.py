"""The executor on Ray Tune: a fresh Tuner over our searcher and our record, never a restored one."""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ray import tune
from ray.tune.progress_reporter import TrialProgressCallback
from ray.tune.search import Searcher as TuneSearcher
from ray.tune.stopper import Stopper

from recsmith.contracts.plan import TrialPlan
from recsmith.contracts.results import EpochReport
from recsmith.records.trial_folder import TrialFolder
from recsmith.search.ray_session import SLOT, resources
from recsmith.search.silence import GRACE, silence_watched
from recsmith.search.threads import threads_for
from recsmith.search.work import failure, work

if TYPE_CHECKING:
    from collections.abc import Callable

    from recsmith.contracts.plan import Engine
    from recsmith.contracts.results import TrialResult
    from recsmith.search.searcher import Searcher, Task
    from recsmith.search.work import Run

MEMORY_SIGN = "running low on memory"  # Ray's words where its memory monitor ended a worker
IMPORT_SIGN = "failed to import on the worker"  # Ray's words where a node does not know what a trial is


def run_on_ray(searcher: Searcher, task: Task, engine: Engine) -> None:
    """Run trials on Ray until the searcher hands out none. Ray must be running."""
    driver = _Driver(searcher, engine)
    with tempfile.TemporaryDirectory(prefix="recsmith-") as scratch:  # Tune's own files: pickles, so not in the study
        trainable = tune.with_resources(
            tune.with_parameters(_trial, run=task.run, shared=task.shared), _resources(engine)
        )
        tuner = tune.Tuner(
            trainable,
            tune_config=tune.TuneConfig(
                search_alg=_TuneSearcher(driver),
                num_samples=-1,
                reuse_actors=True,
                trial_dirname_creator=lambda trial: str(trial.trial_id),
            ),
            run_config=tune.RunConfig(
                name="search",
                storage_path=scratch,
                stop=_Overdue(driver),
                callbacks=[_Watcher(driver)],
                failure_config=tune.FailureConfig(max_failures=0),
                verbose=0,
            ),
        )
        try:
            tuner.fit()
        finally:
            driver.release()
    if driver.trouble is not None:
        raise driver.trouble


def _trial(config: dict[str, Any], run: Run, shared: object) -> None:
    """One trial, in a worker."""
    plan = TrialPlan.model_validate_json(config["plan"])
    folder = TrialFolder(plan.folder)
    silence = silence_watched(folder.silence(plan.number), config["timeout"], plan.deadline)
    with threads_for(config["cpus"]), silence as watch:

        def exchange(report: EpochReport) -> str | None:
            watch.suspend()
            tune.report({"report": json.dumps(report.model_dump())})  # returns when the driver has heard it
            watch.reset()
            return folder.stop_order(plan.number)

        work(plan, run, shared, exchange)


def _resources(engine: Engine) -> Any:
    bundle: dict[str, float] = {"CPU": engine.cpus_per_trial}
    if engine.gpus_per_trial:
        bundle["GPU"] = engine.gpus_per_trial
    if SLOT in resources():
        bundle[SLOT] = 1
    return tune.PlacementGroupFactory([bundle])


class _Driver:
    """Joins Tune's calls to the searcher. An error of ours ends the search and is raised after it, never in Tune."""

    def __init__(self, searcher: Searcher, engine: Engine) -> None:
        self._searcher = searcher
        self._engine = engine
        # Where our own slots hold the limit, Tune keeps one more trial waiting, for which it keeps a worker alive.
        self._limit = None if engine.max_concurrent == resources().get(SLOT) else engine.max_concurrent
        self._plans: dict[str, TrialPlan] = {}  # Tune's id -> a trial that has not ended
        self._ordered: set[int] = set()
        self._ending_since: float | None = None
        self.trouble: Exception | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Tune pickles its searcher at the start: nothing of ours goes along

    def guarded(self, step: Callable[..., Any], *facts: Any) -> Any:
        """Do a step; note the first error."""
        try:
            return step(*facts)
        except Exception as error:  # noqa: BLE001 - raised at the end of run_on_ray
            self.trouble = self.trouble or error
            self._searcher.interrupt()
            return None

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """A trial for Tune."""
        if self._limit is not None and len(self._plans) >= self._limit:
            return None
        plan = self._searcher.next()
        if plan is None:
            over = self._searcher.ending is not None or not self._plans
            return str(TuneSearcher.FINISHED) if over else None
        self._plans[trial_id] = plan
        engine = self._engine
        return {"plan": plan.model_dump_json(), "cpus": engine.cpus_per_trial, "timeout": engine.trial_timeout}

    def hear(self, trial_id: str, result: dict[str, Any]) -> None:
        """An epoch; the worker waits for the order, which it finds in the trial's folder."""
        plan = self._plans.get(trial_id)
        if plan is None or "report" not in result:
            return
        order = self._searcher.heard(plan.number, EpochReport.model_validate(json.loads(result["report"])))
        if order is not None:
            self._order(plan, order)

    def end(self, trial_id: str) -> None:
        """A trial that returned: its folder says how it ended."""
        if (plan := self._plans.pop(trial_id, None)) is not None:
            self._searcher.finish(plan.number, _written(plan))

    def die(self, trial_id: str, words: str) -> None:
        """A trial whose process died."""
        if (plan := self._plans.pop(trial_id, None)) is None:
            return
        result = _written(plan)
        if result is None and self._searcher.stop_order is None:
            result = _post_mortem(plan, words, self._engine.trial_timeout)
            TrialFolder(plan.folder).write_result(result)
        self._searcher.finish(plan.number, result)

    def poll(self, trials: list[Any]) -> None:
        """Several times a second: pass the order to stop on, and queue again what Tune dropped without a word."""
        for trial in trials:
            if trial.trial_id in self._plans and trial.is_finished():
                self._searcher.finish(self._plans.pop(trial.trial_id).number, None)
        order = self._searcher.stop_order
        if order is None:
            return
        self._ending_since = self._ending_since or time.monotonic()
        for plan in self._plans.values():
            self._order(plan, order)

    def overdue(self) -> bool:
        """Whether trials that were told to stop have had their time."""
        return self._ending_since is not None and time.monotonic() - self._ending_since > 2 * GRACE

    def release(self) -> None:
        """Queue again what Tune left behind."""
        for trial_id in list(self._plans):
            self.guarded(self.end, trial_id)

    def _order(self, plan: TrialPlan, order: str) -> None:
        if plan.number not in self._ordered:
            self._ordered.add(plan.number)
            TrialFolder(plan.folder).order_stop(plan.number, order)


def _written(plan: TrialPlan) -> TrialResult | None:
    result = TrialFolder(plan.folder).result()
    return None if result is None else result.model_copy(update={"number": plan.number})


def _post_mortem(plan: TrialPlan, words: str, timeout: float) -> TrialResult:
    silence = TrialFolder(plan.folder).silence(plan.number)
    stacks = silence.read_text() if silence.exists() else ""
    silence.unlink(missing_ok=True)
    if MEMORY_SIGN in words:
        return failure(plan, MemoryError(words.splitlines()[0]))
    if stacks:
        result = failure(plan, TimeoutError(f"no report for {timeout:g} seconds"))
        return result.model_copy(update={"traceback": stacks})
    lines = words.splitlines()
    if IMPORT_SIGN in words:  # a node that joined after the probe
        place = next((line.strip() for line in lines if line.strip().startswith("ip:")), "ip: unknown")
        cause = next((line for line in lines if line.startswith(("ModuleNotFoundError", "ImportError"))), lines[-1])
        reason = f"node {place.removeprefix('ip: ')}: recsmith cannot be imported ({cause}): install there what is here"
        return failure(plan, ChildProcessError()).model_copy(update={"reason": reason, "traceback": words})
    raised = "ray::" in lines[0]  # an exception outside of the trial itself, told with its traceback
    reason = f"the worker failed: {lines[-1]}" if raised else f"the worker process died: {lines[0]}"
    return failure(plan, ChildProcessError()).model_copy(update={"reason": reason, "traceback": words})


def _last_words(trial: Any) -> str:
    """What Tune wrote about the end of a trial; its first line counts the failures."""
    path = Path(trial.error_file or "")
    lines = path.read_text().splitlines()[1:] if path.is_file() else []
    return "\n".join(line for line in lines if line.strip()) or "no word of it is left"


class _TuneSearcher(TuneSearcher):
    """Our searcher in Tune's clothes."""

    def __init__(self, driver: _Driver) -> None:
        super().__init__()
        self._driver = driver

    def suggest(self, trial_id: str) -> Any:
        suggestion = self._driver.guarded(self._driver.suggest, trial_id)
        return self.FINISHED if self._driver.trouble else suggestion

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        self._driver.guarded(self._driver.hear, trial_id, result)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002 - Ray's signature
        if not error:  # the watcher, which is called next, knows what happened
            self._driver.guarded(self._driver.end, trial_id)

    def save_to_dir(self, checkpoint_dir: str, session_str: str = "default") -> None:
        """Save nothing: the study is the record."""


class _Watcher(TrialProgressCallback):
    """Watches every step; it stands where Tune would put a callback that prints."""

    def __init__(self, driver: _Driver) -> None:
        super().__init__()
        self._driver = driver

    def log_result(self, trial: Any, result: dict[str, Any], error: bool = False) -> None:  # noqa: FBT001, FBT002
        """Print nothing."""

    def on_trial_complete(self, *_args: Any, **_info: Any) -> None:
        """Print nothing."""

    def on_step_begin(self, iteration: int, trials: list[Any], **_info: Any) -> None:  # noqa: ARG002
        self._driver.guarded(self._driver.poll, trials)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **_info: Any) -> None:  # noqa: ARG002
        self._driver.guarded(self._driver.die, trial.trial_id, _last_words(trial))


class _Overdue(Stopper):
    def __init__(self, driver: _Driver) -> None:
        self._driver = driver

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:  # noqa: ARG002 - Ray's signature
        return False

    def stop_all(self) -> bool:
        return self._driver.overdue()
