"""A distribution as its source folder tells of it: what `pip install -e` would install, without installing it."""

from __future__ import annotations

import json
import sys
import tomllib
from importlib.metadata import Distribution, EntryPoint, PackageNotFoundError, distribution
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlparse

from recsmith.contracts.errors import PluginError
from recsmith.contracts.hooks import ENTRY_POINT_GROUP
from recsmith.wiring.plugins import installed

if TYPE_CHECKING:
    from collections.abc import Mapping
    from os import PathLike

TABLE = f"[project.entry-points.{ENTRY_POINT_GROUP}]"


class SourceDistribution(Distribution):
    """The distribution whose pyproject.toml stands in `folder`; `plugins` maps entry points to modules."""

    def __init__(self, folder: Path, name: str, version: str, plugins: Mapping[str, str]) -> None:
        self.folder = folder
        self.plugins = plugins
        lines = [f"[{ENTRY_POINT_GROUP}]", *(f"{point} = {module}" for point, module in plugins.items())]
        self._texts = {
            "METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
            "entry_points.txt": "\n".join(lines),
        }

    def read_text(self, filename: str) -> str | None:
        """What the folder of its metadata would hold."""
        return self._texts.get(filename)

    def locate_file(self, path: str | PathLike[str]) -> Path:
        """A file of the source folder."""
        return self.folder / path


def read_source(folder: Path) -> SourceDistribution:
    """Read name, version and plugins from the folder's pyproject.toml.

    Raises:
        PluginError: there is no such file, it is no TOML, or it declares no plugin.
    """
    path = folder / "pyproject.toml"
    try:
        project: Any = tomllib.loads(path.read_text("utf-8")).get("project", {})
    except OSError as error:
        raise PluginError(f"{path}: cannot be read ({error.strerror}): name a distribution's source folder.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise PluginError(f"{path}: is no TOML: {error}.") from error
    name = project.get("name") if isinstance(project, dict) else None
    if not isinstance(name, str):
        raise PluginError(f"{path}: [project] has no name.")
    points = project.get("entry-points", {})
    plugins = points.get(ENTRY_POINT_GROUP) if isinstance(points, dict) else None
    if not isinstance(plugins, dict) or not plugins:
        raise PluginError(f'{path}: declares no plugin: write {TABLE} with a line such as "model.mine" = "my_package".')
    for point, module in plugins.items():
        if not isinstance(module, str) or not EntryPoint.pattern.match(module):
            raise PluginError(f"{path}: {TABLE}: {point!r} is {module!r}, which is no module.")
    version = project.get("version")
    return SourceDistribution(folder.resolve(), name, version if isinstance(version, str) else "?", plugins)


def entry_points_of(source: SourceDistribution) -> list[EntryPoint]:
    """Make the sources importable in this process; return those entry points that are not installed.

    Raises:
        PluginError: the distribution is installed from somewhere else.
    """
    _expect_no_other(source)
    inner = source.folder / "src"
    sys.path.insert(0, str(inner if inner.is_dir() else source.folder))
    known = {(point.name, point.value) for point in installed()}
    return [point for point in source.entry_points if (point.name, point.value) not in known]


def _expect_no_other(source: SourceDistribution) -> None:
    try:
        found = distribution(source.name)
    except PackageNotFoundError:
        return
    facts = json.loads(found.read_text("direct_url.json") or "{}")
    home = Path(unquote(urlparse(facts.get("url", "")).path)).resolve()
    if not facts.get("dir_info", {}).get("editable") or home != source.folder:
        raise PluginError(
            f"{source.name} {found.version} is installed, but not from {source.folder}: install the folder with "
            f"`pip install -e {source.folder}`, or check what is installed by its name."
        )
