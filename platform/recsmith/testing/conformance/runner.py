"""The suite in a process of its own, so that a plugin that crashes, hangs or prints harms nothing.

The child loads the plugins and runs the checks one by one. It tells of each in a line of JSON on a pipe that only it
and the parent know of; whatever the plugin prints goes to standard error. A child that dies or is silent for too long
has broken the promise that it was examining, and a new child goes on behind it.
"""

from __future__ import annotations

import faulthandler
import json
import os
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Self

from recsmith.contracts.errors import PluginError, RecsmithError
from recsmith.testing.conformance.source import entry_points_of, read_source
from recsmith.testing.conformance.suite import Outcome, checks_of, offered, run_check
from recsmith.wiring.plugins import ALLOW_LIST, installed, load_plugins

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import TracebackType

    from recsmith.contracts.plugins import Kind
    from recsmith.testing.conformance.suite import Check
    from recsmith.wiring.plugins import LoadedPlugins

LOADING = 120.0  # seconds that importing every plugin may take at least
POLL = 0.2  # seconds between two looks whether the child lives: a process that it left behind may keep the pipe open


@dataclass(frozen=True)
class Request:
    """What a child is to do: the checks of `plugins` from number `start` on; lines go to the descriptor `pipe`."""

    plugins: Sequence[str]
    folder: str | None
    start: int = 0
    pipe: int = -1


def examine(plugins: str | Sequence[str], *, folder: Path | None = None, timeout: float = 120.0) -> Iterator[Outcome]:
    """Run every check of some plugins in a child process, and tell how each ended as soon as it did.

    Args:
        plugins: names of entry points or distributions; or one name as somebody typed it, which may be that of a
            source folder. None of them means all of `folder`.
        folder: the source folder of a distribution that need not be installed.
        timeout: seconds that one check may take.

    Raises:
        PluginError: a plugin is not there, cannot be loaded, or ends the interpreter when it is imported.
    """
    if isinstance(plugins, str):
        plugins, folder = ([], Path(plugins)) if is_folder(plugins) else ([plugins], folder)
    if folder is not None:
        plugins = plugins or list(read_source(folder).plugins)
    request = Request(plugins, None if folder is None else str(folder.resolve()))
    with TemporaryDirectory(prefix="recsmith-", ignore_cleanup_errors=True) as scratch:
        number, total = 0, 1
        while number < total:
            with _Child(replace(request, start=number), scratch) as child:
                promised = child.promised(max(timeout, LOADING))
                total = len(promised)
                alive = True
                while alive and number < total:
                    outcome, alive = child.outcome(promised[number], timeout)
                    yield outcome
                    number += 1


def is_folder(name: str) -> bool:
    """Whether what somebody typed is a folder; an installed plugin or distribution of that name comes first."""
    if os.sep in name or name in {os.curdir, os.pardir}:
        return True
    known = {known for point in installed() for known in (point.name, point.dist and point.dist.name)}
    return name not in known and (Path(name) / "pyproject.toml").is_file()


class _GoneError(Exception):
    """The child died, or was silent for too long; the message says which."""


class _Child:
    """A running child and the lines that it sends."""

    def __init__(self, request: Request, scratch: str) -> None:
        self._pipe, theirs = os.pipe()
        self._received = b""
        job = json.dumps(asdict(replace(request, pipe=theirs)))
        try:
            self._process = subprocess.Popen(  # noqa: S603 - this interpreter and this module
                # -P: the working folder is no place to import from
                [sys.executable, "-P", "-m", "recsmith.testing.conformance.runner", job],
                stdin=subprocess.DEVNULL,
                stdout=2,  # standard output belongs to the command's result
                pass_fds=[theirs],
                start_new_session=True,  # an interrupt is for the parent, which then ends all that the child started
                env={**os.environ, "TMPDIR": scratch},
            )
        finally:
            os.close(theirs)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        os.close(self._pipe)

    def promised(self, timeout: float) -> list[Outcome]:
        """What it will examine, with nothing found yet.

        Raises:
            PluginError: a plugin cannot be loaded.
        """
        try:
            line = self._line(timeout)
        except _GoneError as gone:
            raise PluginError(
                f"the installed plugins cannot be loaded: {gone}. Allow fewer of them by the environment variable "
                f"{ALLOW_LIST}."
            ) from gone
        if "error" in line:
            raise PluginError(line["error"])
        return [Outcome(**outcome) for outcome in line["promised"]]

    def outcome(self, promised: Outcome, timeout: float) -> tuple[Outcome, bool]:
        """How the next check ended, and whether the child can go on."""
        began = time.perf_counter()
        try:
            self._line(timeout)  # it begins
            return Outcome(**self._line(timeout)["ended"]), True
        except _GoneError as gone:
            return replace(promised, state="broken", detail=str(gone), seconds=time.perf_counter() - began), False

    def _line(self, timeout: float) -> dict[str, Any]:
        deadline = time.monotonic() + timeout
        while b"\n" not in self._received:
            dead = self._process.poll() is not None
            left = deadline - time.monotonic()
            if select.select([self._pipe], [], [], 0 if dead else max(0.0, min(left, POLL)))[0]:
                received = os.read(self._pipe, 1 << 16)
                if not received:
                    raise _GoneError(self._end())
                self._received += received
            elif dead:
                raise _GoneError(self._end())
            elif left <= 0:
                raise _GoneError(f"did not return within {timeout:g} s")
        first, _, self._received = self._received.partition(b"\n")
        line: dict[str, Any] = json.loads(first)
        return line

    def _end(self) -> str:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(5)  # it closed the pipe: it is about to end
        code = self._process.poll()
        if code is None:
            return "closed the pipe that the suite reads"
        if code >= 0:
            return f"the interpreter ended (exit code {code})"
        return f"the interpreter died ({signal.Signals(-code).name})"


def _serve(request: Request) -> None:
    """The child: load, say what will be examined, examine."""
    faulthandler.enable()
    os.set_inheritable(request.pipe, False)  # noqa: FBT003 - it takes no keyword
    with os.fdopen(request.pipe, "w", encoding="utf-8") as pipe:

        def tell(**line: Any) -> None:
            pipe.write(json.dumps(line) + "\n")
            pipe.flush()

        try:
            loaded = load_plugins(points=entry_points_of(read_source(Path(request.folder))) if request.folder else ())
            checks = _checks(loaded, request.plugins)
        except RecsmithError as error:
            tell(error=str(error))
            return
        tell(promised=[asdict(_promised(*which)) for which in checks])
        for number, (kind, name, check) in enumerate(checks[request.start :], request.start):
            tell(begins=number)
            tell(ended=asdict(run_check(loaded, kind, name, check)))


def _checks(loaded: LoadedPlugins, plugins: Sequence[str]) -> list[tuple[Kind, str, Check]]:
    """Every check of everything that the plugins offer, in the same order in every child."""
    things = dict.fromkeys(thing for plugin in plugins for thing in offered(loaded, plugin))
    return [(kind, name, check) for kind, name in things for check in checks_of(kind)]


def _promised(kind: Kind, name: str, check: Check) -> Outcome:
    promise = (check.__doc__ or check.__name__).splitlines()[0]
    return Outcome(kind, name, check.__name__, promise, "not applicable")


if __name__ == "__main__":
    _serve(Request(**json.loads(sys.argv[1])))
