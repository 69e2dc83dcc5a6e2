"""Plugin loading: entry points become one pluggy manager and one registry; broken ones are set aside with their reason.

What a plugin does wrong is its own misfortune: it is quarantined and everything else goes on. It is an error only
where somebody asked for that very plugin by name.
"""

from __future__ import annotations

import json
import os
import traceback
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib.metadata import EntryPoint, PackageNotFoundError, entry_points, version
from typing import TYPE_CHECKING, Literal
from urllib.parse import unquote, urlparse

import pluggy
from packaging.requirements import Requirement

from recsmith.contracts import hooks
from recsmith.contracts.errors import LackingError, PluginError, unknown
from recsmith.wiring.registry import Offer, Registry, freeze, offers_of, singular
from recsmith.wiring.stdout import stdout_aside

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from importlib.metadata import Distribution

ALLOW_LIST = "RECSMITH_PLUGINS"  # environment variable: names, separated by commas; nothing else is ever imported
State = Literal["active", "not allowed", "lacking", "quarantined"]
BUILT_IN = "recsmith"  # the distribution whose names nobody can take


@dataclass(frozen=True)
class PluginInfo:
    """One entry point as it was found; all but a quarantine is known before anything is imported."""

    name: str  # of the entry point
    kind: str  # the part of its name before the dot
    distribution: str
    version: str
    module: str
    origin: str  # the folder that it is installed in, or the source folder of an editable installation
    state: State
    reason: str = ""


@dataclass(frozen=True, eq=False)
class LoadedPlugins:
    """The manager that holds every active plugin, all that they offer, and what was found about each entry point."""

    manager: pluggy.PluginManager
    registry: Registry
    found: tuple[PluginInfo, ...]

    def culprit(self, error: BaseException) -> PluginInfo | None:
        """The plugin in whose code an error was raised: the innermost that the traceback shows."""
        modules = {info.module: info for info in self.found}
        packages = {_package(info.module): info for info in self.found if info.distribution != BUILT_IN}
        for frame, _ in reversed(list(traceback.walk_tb(error.__traceback__))):
            name = str(frame.f_globals.get("__name__"))
            if info := modules.get(name) or packages.get(_package(name)):
                return info
        return None


def installed() -> list[EntryPoint]:
    """Every entry point of our group, by name; an editable install that is listed twice counts once."""
    points = entry_points(group=hooks.ENTRY_POINT_GROUP)
    unique = {(point.name, point.value, _owner(point.dist)): point for point in points}
    return [unique[key] for key in sorted(unique)]


def load_plugins(
    only: Collection[str] | None = None, without: Collection[str] = (), points: Sequence[EntryPoint] = ()
) -> LoadedPlugins:
    """Import the installed plugins, ask each for its specs, and keep those that keep the rules.

    A plugin is named by its entry point ("model.ease"); the name of a distribution ("recsmith-hitlist", "recsmith" for
    the built-in ones) stands for all of its plugins. Of two plugins that offer one name a built-in one stays and the
    other is quarantined; where none is built in both are, so that nothing depends on an order. An entry point that
    names an extra of its distribution ("module [image]") is set aside as lacking where that extra is not installed.

    Args:
        only: nothing else is imported, and each of these must work. None allows all that are installed.
        without: never imported.
        points: more entry points, that are not installed.

    Raises:
        PluginError: a name is not installed; or one in `only` is not allowed by the environment variable
            RECSMITH_PLUGINS, or cannot be used.
    """
    loading = _Loading([*installed(), *points])
    for number, reason in loading.refused(only, without):
        loading.set_aside(number, "not allowed", reason)
    for number, reason in loading.twins():
        loading.set_aside(number, "quarantined", reason)
    for number, reason in loading.lacking():
        loading.set_aside(number, "lacking", reason)
    for number in loading.active():
        loading.take_in(number)
    for number, reason in loading.clashes():
        loading.set_aside(number, "quarantined", reason)
    loading.check_asked(only, without)
    return loading.loaded()


class _Loading:
    """The plugins on their way in, by their number in the list of entry points."""

    def __init__(self, points: Sequence[EntryPoint]) -> None:
        self._points = points
        self._infos = [_info(point) for point in points]
        self._offers: dict[int, list[Offer]] = {}
        self._manager = pluggy.PluginManager("recsmith")
        self._manager.add_hookspecs(hooks)

    def active(self) -> list[int]:
        return [number for number, info in enumerate(self._infos) if info.state == "active"]

    def set_aside(self, number: int, state: State, reason: str) -> None:
        self._infos[number] = replace(self._infos[number], state=state, reason=reason)
        self._offers.pop(number, None)
        if self._manager.has_plugin(self._infos[number].name):
            self._manager.unregister(name=self._infos[number].name)

    def refused(self, only: Collection[str] | None, without: Collection[str]) -> Iterator[tuple[int, str]]:
        """Who may not be imported, and why not."""
        listed = os.environ.get(ALLOW_LIST)
        operator = None if listed is None else [name.strip() for name in listed.split(",") if name.strip()]
        for names, place in ((only, ""), (without, ""), (operator, f"{ALLOW_LIST}: ")):
            self._check_names(names or (), place)
        for number, info in enumerate(self._infos):
            if operator is not None and not _named(info, operator):
                yield number, f"the environment variable {ALLOW_LIST} does not name it"
            elif only is not None and not _named(info, only):
                yield number, "it is not among the plugins that were asked for"
            elif _named(info, without):
                yield number, "it was left out by name"

    def twins(self) -> Iterator[tuple[int, str]]:
        """Entry points of one name."""
        by_name: dict[str, list[int]] = {}
        for number in self.active():
            by_name.setdefault(self._infos[number].name, []).append(number)
        for name, numbers in by_name.items():
            yield from self._losers(numbers, f"the plugin name {name!r}")

    def lacking(self) -> Iterator[tuple[int, str]]:
        """Entry points whose extras are not installed, and what is missing."""
        for number in self.active():
            point = self._points[number]
            extras = point.extras if EntryPoint.pattern.match(point.value) else []
            missing = [name for extra in extras for name in _missing(point.dist, extra)]
            if missing:
                remedy = f"pip install '{self._infos[number].distribution}[{','.join(extras)}]'"
                yield number, f"it needs {' and '.join(missing)}: {remedy}"

    def take_in(self, number: int) -> None:
        """Import a plugin and hear what it offers."""
        info, point = self._infos[number], self._points[number]
        try:
            with stdout_aside():
                self._manager.register(point.load(), name=info.name)
                self._manager.check_pending()
                self._offers[number] = offers_of(self._manager, info.name)
        except KeyboardInterrupt:
            raise
        except LackingError as error:
            self.set_aside(number, "lacking", str(error))
        except BaseException as error:  # noqa: BLE001 - whatever a plugin does wrong must not end the program
            known = isinstance(error, (PluginError, pluggy.PluginValidationError))
            self.set_aside(number, "quarantined", str(error) if known else f"{type(error).__name__}: {error}")

    def clashes(self) -> Iterator[tuple[int, str]]:
        """Specs of one kind and name."""
        by_name: dict[str, list[int]] = {}
        for number, offers in self._offers.items():
            for kind, spec in offers:
                by_name.setdefault(f"{singular(kind)} {spec.name!r}", []).append(number)
        for name, numbers in by_name.items():
            yield from self._losers(numbers, f"the {name}")

    def check_asked(self, only: Collection[str] | None, without: Collection[str]) -> None:
        """Whoever was asked for by name must be there; of a distribution asked for, what lacks nothing."""
        for info in self._infos:
            asked = info.name in (only or ()) or (info.state != "lacking" and _named(info, only or ()))
            if info.state != "active" and asked and not _named(info, without):
                raise PluginError(f"plugin {info.name!r} ({info.distribution}) cannot be used: {info.reason}")

    def loaded(self) -> LoadedPlugins:
        offers = {self._infos[number].name: offered for number, offered in self._offers.items()}
        aside = {info.name: f"{info.state}: {info.reason}" for info in self._infos if info.state != "active"}
        return LoadedPlugins(self._manager, freeze(offers, aside), tuple(self._infos))

    def _check_names(self, names: Collection[str], place: str) -> None:
        known = {name for info in self._infos for name in (info.name, info.distribution)}
        for name in names:
            if not any(_named(info, [name]) for info in self._infos):
                raise PluginError(place + unknown("installed plugin", name, known))

    def _losers(self, numbers: list[int], what: str) -> Iterator[tuple[int, str]]:
        """Of several that offer one thing: all but a built-in one."""
        if len(numbers) == 1:
            return
        owners = [f"{self._infos[number].name} ({self._infos[number].distribution})" for number in numbers]
        for number in numbers:
            if self._infos[number].distribution != BUILT_IN:
                yield number, f"{what} is offered by {' and by '.join(owners)}: leave one out by `--without`"


def _info(point: EntryPoint) -> PluginInfo:
    name, version, origin = "?", "?", "?"
    if point.dist is not None:
        name, version, origin = point.dist.name, point.dist.version, _origin(point.dist)
    module = point.module if EntryPoint.pattern.match(point.value) else point.value  # importing it will say so
    return PluginInfo(point.name, point.name.partition(".")[0], name, version, module, origin, "active")


def _missing(distribution: Distribution | None, extra: str) -> Iterator[str]:
    """The requirements of an extra that are not installed, or not in a version that will do."""
    for text in (distribution.requires if distribution is not None else None) or ():
        requirement = Requirement(text)
        marker = requirement.marker
        if marker is None or marker.evaluate({"extra": ""}) or not marker.evaluate({"extra": extra}):
            continue
        try:
            there = requirement.specifier.contains(version(requirement.name), prereleases=True)
        except PackageNotFoundError:
            there = False
        if not there:
            yield f"{requirement.name}{requirement.specifier}"


def _origin(distribution: Distribution) -> str:
    """Where a distribution came from (PEP 610 tells the source of an editable installation)."""
    with suppress(ValueError, KeyError, TypeError, AttributeError):  # a malformed record tells nothing
        facts = json.loads(distribution.read_text("direct_url.json") or "{}")
        if facts.get("dir_info", {}).get("editable"):
            return f"{unquote(urlparse(facts['url']).path)} (editable)"
    return str(distribution.locate_file(""))


def _owner(distribution: Distribution | None) -> str:
    return distribution.name if distribution is not None else "?"


def _package(module: str) -> str:
    return module.partition(".")[0]


def _named(info: PluginInfo, names: Collection[str]) -> bool:
    return info.name in names or info.distribution in names
