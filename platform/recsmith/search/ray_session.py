"""Ray for the time of one search: started here where nobody has, and ended again."""

from __future__ import annotations

import logging
import os
import socket
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from recsmith.contracts.errors import StudyError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from recsmith.contracts.plan import Engine

SLOT = "recsmith_trial"  # a resource of our own Ray: how many trials run at once
KNOCK = 10.0  # seconds for the cluster's door to open
OBJECT_STORE = 1 << 30  # bytes; a larger fold falls back to disk
LOCKED = "It wants a token: set RAY_AUTH_MODE=token, and give the token in RAY_AUTH_TOKEN or ~/.ray/auth_token."

SETTINGS = {
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # relative paths mean the same everywhere
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AIR_NEW_OUTPUT": "0",  # the new output prints tables even when it is told to be silent
    "RAY_DEDUP_LOGS_SKIP_REGEX": "worker died or was killed",  # the trial's row says so
    "RAY_TRAIN_ENABLE_V2_MIGRATION_WARNINGS": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",  # else one trial without the metric ends all
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # ours ends the search in order
    "TUNE_GLOBAL_CHECKPOINT_S": "3600",  # the study is the record; Tune's own snapshots are thrown away
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",  # they stand in the record
}


@contextmanager
def ray_session(engine: Engine) -> Iterator[None]:
    """Have Ray: the one that runs in this process already, the cluster at `engine.address`, or a local one of our own.

    Raises:
        StudyError: Ray cannot be reached, or a trial asks for more than the machine has.
    """
    before = {name: os.environ.get(name) for name in SETTINGS}
    os.environ.update(SETTINGS)
    import ray

    loggers = [logging.getLogger(name) for name in ("ray", "ray.tune")]
    levels = [logger.level for logger in loggers]
    ours = not ray.is_initialized()
    try:
        if ours:
            _start(engine)
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        yield
    finally:
        if ours:
            ray.shutdown()
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def is_ours(engine: Engine) -> bool:
    """Whether Ray will be started here for the search, so that its workers have the environment of this process."""
    return engine.address is None and not ("ray" in sys.modules and sys.modules["ray"].is_initialized())


def local_slots(engine: Engine) -> int:
    """How many trials this machine runs at once.

    Raises:
        StudyError: not even one.
    """
    cpus = len(os.sched_getaffinity(0))
    fit = int(cpus / engine.cpus_per_trial)
    if fit < 1:
        raise StudyError(
            f"engine.cpus_per_trial: a trial asks for {engine.cpus_per_trial:g} CPUs and this machine has {cpus}: "
            f"ask for at most {cpus}."
        )
    return min(fit, engine.max_concurrent or fit)


def resources() -> dict[str, float]:
    """What the running Ray has in all."""
    import ray

    found: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    return found


def _start(engine: Engine) -> None:
    import ray

    if engine.address is not None:
        _knock(engine.address)
        try:
            ray.init(
                engine.address, log_to_driver=False, logging_level=logging.ERROR, runtime_env={"env_vars": SETTINGS}
            )
        except Exception as error:
            hint = f" {LOCKED}" if "uthentication" in str(error.__cause__) else ""
            raise StudyError(
                f"engine.address: no Ray cluster answers at {engine.address!r} ({error}).{hint}"
            ) from error
        return
    ray.init(
        "local",
        num_cpus=len(os.sched_getaffinity(0)),
        num_gpus=None if engine.gpus_per_trial else 0,
        resources={SLOT: local_slots(engine)},
        include_dashboard=False,
        object_store_memory=OBJECT_STORE,
        log_to_driver=False,
        logging_level=logging.ERROR,
    )
    if engine.gpus_per_trial > resources().get("GPU", 0):
        raise StudyError(
            f"engine.gpus_per_trial: a trial asks for {engine.gpus_per_trial:g} GPUs and Ray finds fewer: "
            "set it to 0, or give Ray a machine that has them."
        )


def _knock(address: str) -> None:
    """Find out in seconds that nobody is there: Ray itself tries for minutes, and no signal ends it.

    Raises:
        StudyError: nobody is there, or only Ray's client protocol, in which Tune would run the driver on the cluster.
    """
    if address.startswith("ray://"):
        raise StudyError(
            f"engine.address: {address!r} is for Ray's client, and a study must be driven from a node of the cluster: "
            'run it on one, with "auto" or that cluster\'s host:port.'
        )
    place = os.environ.get("RAY_ADDRESS", address) if address == "auto" else address
    host, _, port = place.rpartition(":")
    if not host or not port.isdecimal():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=KNOCK).close()
    except OSError as error:
        raise StudyError(f"engine.address: no Ray cluster answers at {place!r} ({error}).") from error
