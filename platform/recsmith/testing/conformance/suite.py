"""The suite: which checks a plugin must pass, and the running of them, one by one or as a pytest class."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from recsmith.contracts.errors import PluginError, unknown
from recsmith.search.threads import threads_for
from recsmith.testing.conformance import (
    blocks,
    combiners,
    encoders,
    exporters,
    fusers,
    losses,
    meta_learners,
    metrics,
    models,
    rating_losses,
    readers,
    samplers,
    schedules,
    settings,
    splitters,
    task_samplers,
)
from recsmith.testing.conformance.subject import NotApplicableError, Subject, Violation
from recsmith.wiring.plugins import load_plugins

if TYPE_CHECKING:
    from recsmith.contracts.plugins import Kind
    from recsmith.wiring.plugins import LoadedPlugins

Check = Callable[[Subject], None]

CHECKS: dict[Kind, tuple[Check, ...]] = {
    "models": models.CHECKS,
    "encoders": encoders.CHECKS,
    "fusers": fusers.CHECKS,
    "blocks": blocks.CHECKS,
    "samplers": samplers.CHECKS,
    "task_samplers": task_samplers.CHECKS,
    "losses": (*losses.CHECKS, *rating_losses.CHECKS),
    "schedules": schedules.CHECKS,
    "meta_learners": meta_learners.CHECKS,
    "splitters": splitters.CHECKS,
    "metrics": metrics.CHECKS,
    "readers": readers.CHECKS,
    "combiners": combiners.CHECKS,
    "exporters": exporters.CHECKS,
}


@dataclass(frozen=True)
class Outcome:
    """How one check of one plugin ended."""

    kind: Kind
    name: str
    check: str
    promise: str  # what must hold
    state: Literal["kept", "broken", "not applicable"]
    detail: str = ""
    seconds: float = 0.0


def checks_of(kind: Kind) -> tuple[Check, ...]:
    """Every check of a kind, those of its settings first."""
    return (*settings.CHECKS, *CHECKS[kind])


def offered(loaded: LoadedPlugins, plugin: str) -> list[tuple[Kind, str]]:
    """What a plugin offers, given the name of its entry point or of its distribution.

    Raises:
        PluginError: nothing of that name is installed, or it is set aside or not allowed.
    """
    found = [info for info in loaded.found if plugin in (info.name, info.distribution)]
    if not found:
        names = {name for info in loaded.found for name in (info.name, info.distribution)}
        raise PluginError(unknown("installed plugin", plugin, names))
    for info in found:
        if info.state != "active":
            raise PluginError(f"plugin {info.name!r} ({info.distribution}) is {info.state}: {info.reason}")
    entries = {info.name for info in found}
    return [key for key, origin in loaded.registry.origins.items() if origin in entries]


def run_check(loaded: LoadedPlugins, kind: Kind, name: str, check: Check) -> Outcome:
    """One check of one plugin, in this process."""
    began = time.perf_counter()
    state: Literal["kept", "broken", "not applicable"] = "kept"
    detail = ""
    with TemporaryDirectory(prefix="recsmith-") as folder:
        try:
            _examine(check, Subject(loaded.registry, kind, loaded.registry.spec(kind, name), Path(folder)))
        except NotApplicableError as reason:
            state, detail = "not applicable", str(reason)
        except Violation as violation:
            state, detail = "broken", str(violation)
        except Exception as error:  # noqa: BLE001 - a plugin may raise anything
            where = traceback.extract_tb(error.__traceback__)[-1]
            state, detail = "broken", f"{type(error).__name__}: {error} ({Path(where.filename).name}:{where.lineno})"
    promise = (check.__doc__ or check.__name__).splitlines()[0]
    return Outcome(kind, name, check.__name__, promise, state, detail, time.perf_counter() - began)


def _examine(check: Check, subject: Subject) -> None:
    """On one thread: sums come in one order then, and two pools of threads on busy cores are slower by far."""
    with threads_for(1):
        check(subject)


class Conformance:
    """The suite for pytest: derive from it and name your plugin's entry point or your distribution.

    The distribution must be installed (`pip install -e .`).
    """

    plugin: ClassVar[str]

    def pytest_generate_tests(self, metafunc: Any) -> None:
        """One test for each check of each thing that the plugin offers."""
        if "check" not in metafunc.fixturenames:
            return
        things = offered(load_plugins(), self.plugin)
        cases = [(kind, name, check) for kind, name in things for check in checks_of(kind)]
        ids = [f"{name}-{check.__name__}" for _, name, check in cases]
        metafunc.parametrize(("kind", "name", "check"), cases, ids=ids)

    def test_promise(self, kind: Kind, name: str, check: Check, tmp_path: Path) -> None:
        """The plugin keeps this promise."""
        registry = load_plugins().registry
        try:
            _examine(check, Subject(registry, kind, registry.spec(kind, name), tmp_path))
        except NotApplicableError as reason:
            import pytest

            pytest.skip(str(reason))
