"""Plugin loading: what is installed, what is allowed, what is broken."""

from __future__ import annotations

import sys
from importlib.metadata import entry_points

import pytest

from recsmith.contracts.errors import PluginError
from recsmith.wiring.plugins import load_plugins
from recsmith.wiring.registry import build_registry

MODULES = {
    "good": """
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import ModelSpec

@hookimpl
def provide_models():
    return [ModelSpec(name="good", api_version=1, build=lambda config, context: None, training="closed_form")]
""",
    "old": """
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import ModelSpec

@hookimpl
def provide_models():
    return [ModelSpec(name="old", api_version=0, build=lambda config, context: None, training="closed_form")]
""",
    "twin": """
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import ModelSpec

@hookimpl
def provide_models():
    return [ModelSpec(name="ease", api_version=1, build=lambda config, context: None, training="closed_form")]
""",
    "broken": "import a_module_that_nobody_has",
    "misspelt": """
from recsmith.contracts.hooks import hookimpl

@hookimpl
def provide_modles():
    return []
""",
}


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Put a distribution with one plugin module on the path."""

    def one(name):
        folder = tmp_path / name
        metadata = folder / f"third_{name}-1.2.dist-info"
        metadata.mkdir(parents=True)
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: third-{name}\nVersion: 1.2\n")
        (metadata / "entry_points.txt").write_text(f"[recsmith]\nmodel.{name} = third_{name}\n")
        (folder / f"third_{name}.py").write_text(MODULES[name])
        monkeypatch.syspath_prepend(str(folder))

    yield one
    for name in [module for module in sys.modules if module.startswith("third_")]:
        del sys.modules[name]


def found(name, loaded):
    return next(plugin for plugin in loaded.found if plugin.name == name)


def test_every_built_in_plugin_is_active_and_stands_in_the_registry():
    loaded = load_plugins()
    assert [plugin for plugin in loaded.found if plugin.state != "active"] == []
    registry = build_registry(loaded.manager)
    names = {f"{kind.removesuffix('s')}.{name}" for kind, specs in registry.specs.items() for name in specs}
    names = {name.replace("losse.", "loss.") for name in names}
    assert names == {plugin.name for plugin in loaded.found}


def test_a_third_party_plugin_comes_through_the_same_door(install):
    install("good")
    loaded = load_plugins()
    assert (found("model.good", loaded).distribution, found("model.good", loaded).version) == ("third-good", "1.2")
    assert "good" in build_registry(loaded.manager).specs["models"]


def test_a_plugin_that_cannot_be_imported_is_set_aside_with_its_reason(install):
    install("broken")
    broken = found("model.broken", load_plugins())
    assert broken.state == "quarantined"
    assert "a_module_that_nobody_has" in broken.reason


def test_a_broken_plugin_that_was_asked_for_by_name_is_an_error(install):
    install("broken")
    with pytest.raises(PluginError, match=r"'model\.broken' \(third-broken\) cannot be used"):
        load_plugins(only=["model.broken"])


def test_a_misspelt_hook_is_found(install):
    install("misspelt")
    assert "provide_modles" in found("model.misspelt", load_plugins()).reason


def test_only_what_is_allowed_is_imported(install):
    install("broken")
    loaded = load_plugins(only=["model.popularity"])
    assert "third_broken" not in sys.modules
    assert found("model.broken", loaded).state == "not allowed"
    assert list(build_registry(loaded.manager).specs["models"]) == ["popularity"]
    assert "ease" not in build_registry(load_plugins(without=["model.ease"]).manager).specs["models"]


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("old", "'old' is written for plugin API 0, this is 1"),
        ("twin", "'ease' is offered by plugin 'model.ease' and by 'model.twin'|'model.twin' and by 'model.ease'"),
    ],
)
def test_a_spec_that_cannot_be_admitted_names_its_plugin(install, name, sentence):
    install(name)
    with pytest.raises(PluginError, match=sentence):
        build_registry(load_plugins().manager)


def test_an_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(PluginError, match=r"no installed plugin 'model.eas'\. Did you mean 'model.ease'\?"):
        load_plugins(only=["model.eas"])


def test_the_entry_points_are_those_of_the_package_metadata():
    assert {plugin.name for plugin in load_plugins().found} == {p.name for p in entry_points(group="recsmith")}
