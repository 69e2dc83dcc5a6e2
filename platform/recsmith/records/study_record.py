"""The study on disk, written: one driver asks for trials and tells how they ended; nothing else remembers them."""

from __future__ import annotations

import datetime as dt
import importlib.metadata
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

from recsmith.contracts.errors import StudyError
from recsmith.records.clock import Clock
from recsmith.records.driver_lock import DriverLock
from recsmith.records.identity import claim
from recsmith.records.storage import open_storage
from recsmith.records.study_view import StudyView
from recsmith.records.trial_folder import DISOWNED

if TYPE_CHECKING:
    from collections.abc import Callable

    import optuna
    from optuna.storages import RDBStorage
    from optuna.trial import FrozenTrial, Trial

    from recsmith.contracts.config import Choice
    from recsmith.contracts.plan import Plan
    from recsmith.contracts.results import TrialResult
    from recsmith.contracts.space import SearchSpace
    from recsmith.records.first_trials import First, Recalled
    from recsmith.records.identity import Identity

ATTEMPTS = 5  # how many drivers may die while a trial runs before the trial is to blame
LIBRARIES = ("recsmith", "numpy", "optuna", "ray", "torch", "scikit-learn", "scipy", "pandas")


@dataclass(frozen=True)
class Asked:
    """A trial that was asked for and shall run now."""

    number: int
    root: int  # the number under which it was first asked for
    origin: str  # "default", "memory", "suggested" or "retry"
    place: int | None  # among the first trials, where it is one of them
    configuration: Choice


class StudyRecord:
    """An Optuna study under the lock of one driver. Use it as a context; `view` reads."""

    def __init__(self, study: optuna.Study, storage: RDBStorage, folder: Path, lock: DriverLock) -> None:
        self._study = study
        self._storage = storage
        self._lock = lock
        self.folder = folder
        self.view = StudyView(study, folder)
        self.clock = Clock(folder)

    @classmethod
    def open(
        cls,
        folder: Path | str,
        plan: Plan,
        space: SearchSpace,
        split_hash: str,
        *,
        direction: Literal["maximize", "minimize"],
        fingerprint: str = "",
    ) -> StudyRecord:
        """Begin the study in `folder`, or resume it: trials of dead drivers are told or queued again.

        Args:
            folder: the study folder; made where it is missing.
            plan: must equal the recorded plan, but for budget, engine and memory.
            space: the resolved space; a resume goes on with the recorded one.
            split_hash: hash over the assignment of every interaction.
            direction: which way the objective is better.
            fingerprint: of the data, for the record.

        Raises:
            StudyError: another driver runs, the plan or the split differ, or the database cannot be opened.
        """
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        folder = Path(folder).absolute()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StudyError(f"{folder}: no folder can be made here ({error.strerror}). Give another one.") from error
        lock = DriverLock(folder).acquire()
        try:
            identity = claim(folder, plan, split_hash)
            storage = open_storage(folder, plan.storage)
            study = optuna.create_study(study_name=plan.name, storage=storage, direction=direction, load_if_exists=True)
            _fix_attributes(study, identity, space, fingerprint)
            record = cls(study, storage, folder, lock)
            record._take_over()
        except BaseException:
            lock.release()
            raise
        record.clock.start()
        return record

    def close(self) -> None:
        """Save the running time and let the next driver in."""
        self.clock.stop()
        self._storage.remove_session()
        self._storage.engine.dispose()
        self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def keep_recalled(self, recalled: Recalled) -> None:
        """Write down what the study takes from the memory."""
        self._study.set_user_attr("recalled", recalled.model_dump(mode="json"))

    def ask(self, propose: Callable[[Trial], Choice], first: tuple[int, First] | None = None) -> Asked:
        """The next trial: one that waits, else the given first one, else what the sampler proposes.

        Args:
            propose: draws a configuration through `trial.suggest_*`.
            first: one of the first trials, and its place among them.
        """
        if first is not None and not self.view.counts()["waiting"]:
            facts = {"origin": first[1].origin, "model": first[1].model, "place": first[0]}
            self._study.enqueue_trial(first[1].point, user_attrs=facts)
        trial = self._study.ask()
        configuration = propose(trial)
        known = trial.user_attrs
        if "root" not in known:  # a folder of this number would be of a trial that a power cut took from the record
            shutil.rmtree(self.view.trial_folder(trial.number).path, ignore_errors=True)
        trial.set_user_attr("model", configuration.name)
        trial.set_user_attr("configuration", configuration.model_dump(mode="json"))
        origin, place = known.get("origin", "suggested"), known.get("place")
        return Asked(trial.number, known.get("root", trial.number), origin, place, configuration)

    def complete(self, result: TrialResult) -> None:
        """Record how a trial ended. What has ended already stays as it is."""
        frozen = self._frozen(result.number)
        if frozen.state.is_finished():
            return
        trial = self._live(frozen)
        facts = {
            "metrics": result.metrics,
            "seconds": round(result.seconds, 3),
            "best_epoch": result.best_epoch,
            "reason": result.reason,
            "traceback": result.traceback,
        }
        for name, fact in facts.items():
            if fact is not None:
                trial.set_user_attr(name, fact)
        if result.infeasible and "finite" not in frozen.constraints:
            trial.set_constraint("finite", 1.0)
        self._tell(trial, result)

    def requeue(self, number: int) -> None:
        """Let a trial that could not end run again later, from its checkpoint; it costs no budget."""
        frozen = self._frozen(number)
        if not frozen.state.is_finished():
            self._queue_again(frozen, frozen.user_attrs.get("deaths", 0))

    def _tell(self, trial: Trial, result: TrialResult) -> None:
        from optuna.trial import TrialState

        if result.state == "complete":
            self._study.tell(trial, result.value, TrialState.COMPLETE)
            return
        if result.state == "pruned" and result.value is not None and not result.infeasible:
            trial.report(result.value, step=max(1, len(result.history)))  # ranks it among the pruned ones
        state = TrialState.PRUNED if result.state == "pruned" else TrialState.FAIL
        self._study.tell(trial, state=state)

    def _take_over(self) -> None:
        """Settle what dead drivers left: a written result is told, everything else is queued again."""
        from optuna.trial import TrialState

        for frozen in self._study.get_trials(states=(TrialState.RUNNING,)):
            root = frozen.user_attrs.get("root", frozen.number)
            folder = self.view.trial_folder(root)
            if folder.path.exists():
                folder.order_stop(frozen.number, DISOWNED)  # a worker that outlived its driver must not write
            result = folder.result()
            deaths = frozen.user_attrs.get("deaths", 0) + 1
            if result is not None:
                self.complete(result.model_copy(update={"number": frozen.number}))
            elif deaths >= ATTEMPTS:
                self._blame(frozen, f"the driver died {deaths} times while it ran")
            else:
                self._queue_again(frozen, deaths)

    def _blame(self, frozen: FrozenTrial, reason: str) -> None:
        from optuna.trial import TrialState

        trial = self._live(frozen)
        trial.set_user_attr("reason", reason)
        self._study.tell(trial, state=TrialState.FAIL)

    def _queue_again(self, frozen: FrozenTrial, deaths: int) -> None:
        """First the new row, then the mark on the old one, then its end: killed in between, this can be repeated."""
        from optuna.trial import TrialState

        heirs = [t for t in self._study.get_trials(deepcopy=False) if t.user_attrs.get("replaces") == frozen.number]
        if not heirs:
            point = {**frozen.system_attrs.get("fixed_params", {}), **frozen.params}
            root = frozen.user_attrs.get("root", frozen.number)
            facts = {"origin": "retry", "root": root, "replaces": frozen.number, "deaths": deaths}
            self._study.enqueue_trial(point, user_attrs=facts)
        trial = self._live(frozen)
        trial.set_user_attr("retried", True)  # noqa: FBT003 - the attribute's value
        self._study.tell(trial, state=TrialState.FAIL)

    def _frozen(self, number: int) -> FrozenTrial:
        return next(trial for trial in self._study.get_trials(deepcopy=False) if trial.number == number)

    def _live(self, frozen: FrozenTrial) -> Trial:
        from optuna.trial import Trial

        return Trial(self._study, frozen._trial_id)  # noqa: SLF001 - the only way to write to a trial of a dead driver


def _fix_attributes(study: optuna.Study, identity: Identity, space: SearchSpace, fingerprint: str) -> None:
    """Write what never changes; "created" comes last and says that all is there."""
    known = study.user_attrs
    if known.get("folder_id", identity.folder_id) != identity.folder_id:
        raise StudyError(
            f"the database already holds a study {study.study_name!r}, of another folder: give this plan another name."
        )
    if "created" in known:
        return
    attributes = {
        "folder_id": identity.folder_id,
        "plan": identity.plan.model_dump(mode="json"),
        "space": space.model_dump(mode="json"),
        "split_hash": identity.split_hash,
        "fingerprint": fingerprint,
        "versions": {name: _version(name) for name in LIBRARIES},
        "created": dt.datetime.now(dt.UTC).isoformat(),
    }
    for name, value in attributes.items():
        study.set_user_attr(name, value)


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
