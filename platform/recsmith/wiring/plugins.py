"""Plugin loading: entry points become one pluggy manager, broken ones are set aside with their reason."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING

import pluggy

from recsmith.contracts import hooks
from recsmith.contracts.errors import PluginError, unknown

if TYPE_CHECKING:
    from collections.abc import Collection


@dataclass(frozen=True)
class PluginInfo:
    """One entry point as it was found, before or after its import."""

    name: str  # of the entry point
    distribution: str
    version: str
    module: str
    state: str  # "active", "not allowed", "quarantined"
    reason: str = ""


@dataclass(frozen=True, eq=False)
class LoadedPlugins:
    """The manager that holds every active plugin, and what was found about each entry point."""

    manager: pluggy.PluginManager
    found: tuple[PluginInfo, ...]


def installed() -> list[EntryPoint]:
    """Every entry point of our group, by name; an editable install that is listed twice counts once."""
    unique = {(point.name, point.value): point for point in entry_points(group=hooks.ENTRY_POINT_GROUP)}
    return sorted(unique.values(), key=lambda point: (point.name, point.value))


def load_plugins(only: Collection[str] | None = None, without: Collection[str] = ()) -> LoadedPlugins:
    """Import the installed plugins and register them.

    Args:
        only: names of entry points; nothing else is imported. None allows all that are installed.
        without: names of entry points that are not imported.

    Raises:
        PluginError: a name in `only` or `without` is not installed, or one name is offered twice.
    """
    points = installed()
    _check_names(points, [*(only or ()), *without])
    manager = pluggy.PluginManager("recsmith")
    manager.add_hookspecs(hooks)
    found = []
    for point in points:
        allowed = (only is None or point.name in only) and point.name not in without
        state, reason = _register(manager, point) if allowed else ("not allowed", "")
        if state == "quarantined" and only is not None:
            distribution = point.dist.name if point.dist else "?"
            raise PluginError(f"plugin {point.name!r} ({distribution}) cannot be used: {reason}")
        found.append(_info(point, state, reason))
    return LoadedPlugins(manager, tuple(found))


def _check_names(points: list[EntryPoint], asked: list[str]) -> None:
    names = [point.name for point in points]
    for name in asked:
        if name not in names:
            raise PluginError(unknown("installed plugin", name, names))
    for name in {name for name in names if names.count(name) > 1}:
        owners = [point.dist.name if point.dist else "?" for point in points if point.name == name]
        raise PluginError(f"plugin {name!r} is offered by {' and by '.join(owners)}: uninstall one of them.")


def _register(manager: pluggy.PluginManager, point: EntryPoint) -> tuple[str, str]:
    try:
        plugin = point.load()
        manager.register(plugin, name=point.name)
    except Exception as error:  # noqa: BLE001 - whatever a plugin does wrong must not end the program
        return "quarantined", f"{type(error).__name__}: {error}"
    try:
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        manager.unregister(name=point.name)
        return "quarantined", str(error)
    return "active", ""


def _info(point: EntryPoint, state: str, reason: str) -> PluginInfo:
    distribution, version = (point.dist.name, point.dist.version) if point.dist else ("?", "?")
    return PluginInfo(point.name, distribution, version, point.value, state, reason)
