"""The manifest: sealed with its own hash, and what it says about plugins compared with what is installed."""

from __future__ import annotations

import hashlib
import json
import platform
from importlib import metadata
from typing import TYPE_CHECKING, Any

from packaging.version import InvalidVersion, Version

from recsmith.contracts.artifact import PluginUse
from recsmith.contracts.errors import ArtifactError
from recsmith.wiring.plugins import installed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from recsmith.contracts.artifact import ArtifactFacts, Manifest
    from recsmith.contracts.plugins import Kind
    from recsmith.wiring.registry import Registry

LIBRARIES = ("numpy", "pyarrow", "pydantic", "safetensors", "scipy", "torch")
NOTES = {
    "train+valid": "The figures were measured on test rows that no member has learnt from.",
    "all": "The figures were measured before the members learnt from all rows, test included; they cannot be repeated.",
}


def seal(content: Mapping[str, Any]) -> str:
    """The sha256 of everything in a manifest but this hash itself, whatever its layout."""
    rest = {name: value for name, value in content.items() if name != "sha256"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def note(facts: ArtifactFacts) -> str:
    """How to read the figures."""
    return NOTES[facts.refit]


def libraries() -> dict[str, str]:
    """Versions of Python and of the libraries that scores depend on."""
    found = {name: metadata.version(name) for name in LIBRARIES if _is_installed(name)}
    return {"python": platform.python_version(), **found}


def _is_installed(name: str) -> bool:
    return bool(list(metadata.distributions(name=name)))


def plugin_uses(registry: Registry, asked: Iterable[tuple[Kind, str]]) -> tuple[PluginUse, ...]:
    """Entry point, distribution and version of everything that was asked for."""
    points = {point.name: point.dist for point in installed()}
    uses = []
    for origin in sorted({registry.origins[what] for what in asked}):
        found = points.get(origin)
        name, version = (found.name, found.version) if found else ("", "")
        uses.append(PluginUse(entry_point=origin, distribution=name, version=version))
    return tuple(uses)


def check_plugins(manifest: Manifest) -> None:
    """Compare the plugins that the manifest names with the installed distributions; nothing is imported.

    Raises:
        ArtifactError: one is missing, is another distribution's, or has another major version.
    """
    points = {point.name: point.dist for point in installed()}
    for use in manifest.plugins:
        _check_plugin(use, points.get(use.entry_point))


def _check_plugin(use: PluginUse, found: metadata.Distribution | None) -> None:
    place = f"manifest.json: plugin {use.entry_point!r}"
    if not use.distribution:
        raise ArtifactError(
            f"{place} was registered by hand when the artifact was saved: load it with a registry that holds it."
        )
    wanted = f"of {use.distribution} {use.version}"
    if found is None:
        raise ArtifactError(f"{place} {wanted} is not installed: pip install '{use.distribution}=={use.version}'.")
    if found.name != use.distribution:
        raise ArtifactError(f"{place} {wanted} is offered by {found.name} here: uninstall that, install the other.")
    if _major(found.version) != _major(use.version):
        advice = f"pip install '{use.distribution}=={use.version}', or train anew"
        raise ArtifactError(f"{place} {wanted} is installed as {found.version}, another major version: {advice}.")


def _major(version: str) -> int | str:
    try:
        return Version(version).major
    except InvalidVersion:
        return version
