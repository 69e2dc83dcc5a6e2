"""Every node of a cluster, asked before the first trial: has it the plugins of the driver, and sees it the study?"""

from __future__ import annotations

import importlib.metadata
import platform
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from recsmith.contracts.errors import PluginError, StudyError
from recsmith.wiring.plugins import installed, load_plugins

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from pathlib import Path

    from recsmith.contracts.plan import Engine
    from recsmith.wiring.plugins import LoadedPlugins

LIMIT = 120.0  # seconds for all nodes together: a worker starts there and imports every plugin
US = "recsmith"


class Found(NamedTuple):
    """One entry point as a node finds it."""

    name: str
    distribution: str
    version: str
    state: str
    reason: str


@dataclass(frozen=True)
class Answer:
    """What a node says of itself."""

    python: str
    version: str | None  # of recsmith; None where it cannot be imported
    sees_study: bool = True
    plugins: tuple[Found, ...] = ()
    trouble: str = ""  # why there is no version, or no plugins


def needed(loaded: LoadedPlugins) -> tuple[Found, ...]:
    """The plugins that a trial may use: all that offer something. Mere observers work in the driver alone."""
    offering = set(loaded.registry.origins.values())
    return tuple(_found(info) for info in loaded.found if info.name in offering)


def load_named(names: Collection[str], without: Collection[str] = ()) -> LoadedPlugins:
    """Those of the named plugins that are installed here, and no other; one that is missing is no error.

    Args:
        names: of entry points.
        without: plugins or distributions to do without, of which one may offer an entry point of the same name.

    Raises:
        PluginError: the environment variable RECSMITH_PLUGINS names what is not installed.
    """
    points = installed()
    here = {point.name for point in points} | {point.dist.name for point in points if point.dist}
    return load_plugins(without={point.name for point in points} - set(names) | here & set(without))


def found_here(names: Collection[str], without: Collection[str]) -> list[tuple[str, ...]]:
    """What is found of each entry point of this node, as plain data; only those of the names are imported."""
    return [tuple(_found(info)) for info in load_named(names, without).found]


def _found(info: Any) -> Found:
    return Found(info.name, info.distribution, info.version, info.state, info.reason)


def probe(engine: Engine, loaded: LoadedPlugins, folder: Path, limit: float = LIMIT) -> None:
    """Ask all nodes that can run a trial, at the same time. Ray must be running.

    Args:
        engine: what a trial asks for.
        loaded: the driver's plugins.
        folder: of the study, which may not exist yet.
        limit: seconds after which a node counts as silent.

    Raises:
        PluginError: a node lacks a plugin, has another version of one or of recsmith, cannot use it or does not see
            the folder, or does not answer.
        StudyError: no node can run a trial.
    """
    plugins = needed(loaded)
    version = importlib.metadata.version(US)
    with _marker(folder) as marker:
        names = [plugin.name for plugin in plugins]
        twins = [info.distribution for info in loaded.found if info.state == "not allowed" and info.name in names]
        answers = _ask(_able(engine), version, (names, twins), marker, limit)
    nodes: dict[str, list[str]] = {}  # what is wrong -> where
    for node, answer in answers:
        for complaint in [answer] if isinstance(answer, str) else complaints(answer, version, plugins, folder):
            nodes.setdefault(complaint, []).append(node)
    if nodes:
        lines = [f"node{'s' * (len(names) > 1)} {', '.join(names)}: {wrong}." for wrong, names in nodes.items()]
        raise PluginError("\n".join(lines))


def complaints(answer: Answer, version: str, plugins: Sequence[Found], folder: Path) -> Iterator[str]:
    """What has to be mended on a node before it can run trials."""
    minor, ours = answer.python.rpartition(".")[0], platform.python_version().rpartition(".")[0]
    if minor != ours:
        yield f"it runs Python {minor} and the driver Python {ours}: start Ray there with Python {ours}"
    elif answer.version is None:
        yield f"{US} {version} is not installed ({answer.trouble}): {_install(US, version)}"
    elif answer.version != version:
        yield f"{US} is {answer.version} there and {version} here: {_install(US, version)}"
    elif answer.trouble:
        yield f"its plugins cannot be loaded: {answer.trouble.removesuffix('.')}"
    else:
        yield from _of_plugins(answer.plugins, plugins)
    if not answer.sees_study:
        yield f"it does not see {folder}: put the study on storage that all nodes share under the same path"


def _of_plugins(theirs: Sequence[Found], ours: Sequence[Found]) -> Iterator[str]:
    there = {(found.name, found.distribution): found for found in theirs}
    versions = {found.distribution: found.version for found in theirs}
    for distribution, version in sorted({(plugin.distribution, plugin.version) for plugin in ours}):
        wanted = [plugin for plugin in ours if plugin.distribution == distribution]
        absent = [plugin.name for plugin in wanted if (plugin.name, distribution) not in there]
        names = ", ".join(absent)
        if distribution not in versions:
            need = f"{names} need{'s' * (len(absent) == 1)} it"
            yield f"{distribution} {version} is not installed ({need}): {_install(distribution, version)}"
        elif versions[distribution] != version:
            other = f"{distribution} is {versions[distribution]} there and {version} here"
            yield f"{other}: {_install(distribution, version)}"
        elif absent:
            yield f"{distribution} {version} has no {names} there as it has here: install the same build again there"
        else:
            for found in (there[plugin.name, distribution] for plugin in wanted):
                if found.state != "active":
                    reason = found.reason.removesuffix(".")
                    yield f"{found.name} ({distribution} {version}) is {found.state} there, but active here: {reason}"


def _install(distribution: str, version: str) -> str:
    return f"pip install {distribution}=={version} there"


@contextmanager
def _marker(folder: Path) -> Iterator[str | None]:
    """A file for the nodes to look for, where the study is or will be; None where none can be written."""
    nearest = next(place for place in (folder, *folder.parents) if place.is_dir())
    try:
        file = tempfile.NamedTemporaryFile(prefix=".recsmith-probe-", dir=nearest)  # noqa: SIM115 - closed below
    except OSError:  # the record says so when it is opened
        yield None
        return
    with file:
        yield file.name


def _able(engine: Engine) -> dict[str, str]:
    """The nodes that can run a trial: Ray's id -> how people call it."""
    import ray

    asked = {"CPU": engine.cpus_per_trial, "GPU": engine.gpus_per_trial}
    able, most = {}, dict.fromkeys(asked, 0.0)
    for node in ray.nodes():  # type: ignore[no-untyped-call]
        has = {name: node["Resources"].get(name, 0.0) for name in asked}
        if node["Alive"] and all(has[name] >= asked[name] for name in asked):
            able[node["NodeID"]] = _called(node)
        elif node["Alive"]:
            most = {name: max(most[name], has[name]) for name in asked}
    if not able:
        raise StudyError(
            f"engine: a trial asks for {asked['CPU']:g} CPUs and {asked['GPU']:g} GPUs and no node of the cluster has "
            f"both (at most {most['CPU']:g} and {most['GPU']:g}): ask for less, or let a larger node join first."
        )
    return able


def _called(node: dict[str, Any]) -> str:
    address = str(node["NodeManagerAddress"])
    names = (node.get("NodeName"), node.get("NodeManagerHostname"))
    name = next((str(name) for name in names if name and name != address), "")
    return f"{address} ({name})" if name else address


def _ask(
    nodes: dict[str, str], version: str, asked_for: tuple[list[str], list[str]], marker: str | None, limit: float
) -> list[tuple[str, Answer | str]]:
    """Each node's answer, or why there is none."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    look = ray.remote(num_cpus=0, max_retries=0)(_look())
    asked = {}
    for node, called in nodes.items():
        pinned = look.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False))
        asked[pinned.remote(version, *asked_for, marker)] = called
    ray.wait(list(asked), num_returns=len(asked), timeout=limit)
    answers: list[tuple[str, Answer | str]] = []
    for promise, called in asked.items():
        try:
            facts = ray.get(promise, timeout=0)
            plugins = tuple(Found(*fact) for fact in facts.pop("plugins"))
            answers.append((called, Answer(**facts, plugins=plugins)))
        except ray.exceptions.GetTimeoutError:
            ray.cancel(promise, force=True)
            answers.append((called, f"no answer within {limit:g} seconds: see whether Ray is well there"))
        except ray.exceptions.RayError as error:
            answers.append((called, f"the probe failed there: {str(error).strip().splitlines()[-1].removesuffix('.')}"))
    return answers


def _look() -> Callable[[str, list[str], list[str], str | None], dict[str, Any]]:
    """The task of a node. It is made in here so that Ray ships its code: a node may have none of ours."""

    def look(version: str, names: list[str], twins: list[str], marker: str | None) -> dict[str, Any]:
        import importlib.metadata
        import platform
        from pathlib import Path

        facts: dict[str, Any] = {
            "python": platform.python_version(),
            "version": None,
            "sees_study": marker is None or Path(marker).exists(),
            "plugins": [],
            "trouble": "",
        }
        try:
            import recsmith.contracts

            facts["version"] = importlib.metadata.version(recsmith.__name__)
            if facts["version"] == version:
                from recsmith.search.probe import found_here

                facts["plugins"] = found_here(names, twins)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the driver says it
            facts["trouble"] = f"{type(error).__name__}: {error}"
        return facts

    return look
