"""What the shape of the tree promises."""

from __future__ import annotations

import platform
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_platform_is_a_source_root_and_no_package():
    """With an `__init__.py` it would shadow the standard library's `platform`."""
    assert not (ROOT / "platform/__init__.py").exists()
    assert "platform" not in Path(platform.__file__).parent.name


def test_every_built_in_plugin_file_has_one_entry_point_and_every_entry_point_a_file():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    modules = sorted(value.partition(" ")[0] for value in project["project"]["entry-points"]["recsmith"].values())
    plugins = ROOT / "plugins"
    files = sorted(
        ".".join(path.relative_to(plugins).with_suffix("").parts)
        for path in plugins.glob("recsmith_plugins/*/*.py")
        if path.name != "__init__.py" and (path.parent.name != "blocks" or "@hookimpl" in path.read_text())
    )
    assert modules == files
