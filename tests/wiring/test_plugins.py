"""Plugin loading: what is installed, what is allowed, what is broken."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from importlib.metadata import entry_points

import pytest

from recsmith.contracts.errors import PluginError
from recsmith.wiring.plugins import load_plugins
from recsmith.wiring.registry import singular
from recsmith.wiring.stdout import stdout_aside

MODEL = """
from typing import Annotated
from recsmith.contracts.config import Choice, Config
from recsmith.contracts.domains import Int, OneOf
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import ModelSpec

{settings}

@hookimpl
def provide_models():
    return [ModelSpec(name={name!r}, api_version={api}, build={build}, training="closed_form", config={config})]
"""


def model(name="good", *, api=1, build="lambda config, context: None", config="Config", settings=""):
    return MODEL.format(name=name, api=api, build=build, config=config, settings=settings)


BROKEN = {
    "cannot be imported": ("import a_module_that_nobody_has", "ModuleNotFoundError: No module named"),
    "ends the program when imported": ("raise SystemExit(3)", "SystemExit: 3"),
    "misspells a hook": (model().replace("provide_models", "provide_modles"), "provide_modles"),
    "has a hook of other arguments": (model().replace("provide_models()", "provide_models(seed)"), "seed"),
    "is written for another API": (model(api=0), "'good' is written for plugin API 0, this is 1: install a version"),
    "raises when asked": (model().replace("return [", "return [1 / 0, "), "ZeroDivisionError: division by zero"),
    "returns no list": (model().replace("return [", "return None and ["), "TypeError: 'NoneType' object"),
    "returns no spec": (
        model().replace("return [", "return ['good', "),
        "'good' among its specs, which is no ModelSpec",
    ),
    "has a spec of another kind": (model().replace("provide_models", "provide_losses"), "which is no PartSpec"),
    "has a name that is none": (model("my.model"), "'my.model' cannot be part of a parameter's name"),
    "has no factory": (model(build="None"), "'good': `build` cannot be called"),
    "has settings of another sort": (model(config="dict"), "'good': `config` is <class 'dict'>"),
    "has a setting without a default": (
        model(config="C", settings="class C(Config):\n    count: Annotated[int, Int(1, 9)]"),
        "good: the setting 'count' has no default",
    ),
    "has a default outside its domain": (
        model(config="C", settings="class C(Config):\n    count: Annotated[int, Int(1, 9)] = 10"),
        "good.count: the default 10 lies outside its domain",
    ),
    "panics below Python": ("class Panic(BaseException): pass\nraise Panic('no')", "Panic: no"),
    "lists what it needs": (
        model().replace("training=", "needs=['order'], training="),
        "`needs` is ['order']: write a frozen",
    ),
    "has a cost of its own": (
        model().replace("training=", "cost='cheap', training="),
        "`cost` is 'cheap': write one of",
    ),
    "chooses among no kind": (
        model(config="C", settings="class C(Config):\n    loss: Annotated[Choice, OneOf('loss')] = Choice(name='bce')"),
        "good.loss: no kind of plugin 'loss'. Did you mean 'losses'?",
    ),
    "chooses by a bare name": (
        model(config="C", settings="class C(Config):\n    loss: Annotated[Choice, OneOf('losses')] = 'bce'"),
        "good.loss: the default 'bce' is no Choice",
    ),
    "offers one name twice": (model().replace("return [", "return 2 * ["), "it offers the model 'good' twice"),
    "offers a built-in's name": (
        model("ease"),
        "the model 'ease' is offered by model.bad (third-bad) and by model.ease (recsmith): leave",
    ),
}


def found(name, loaded):
    return next(plugin for plugin in loaded.found if plugin.name == name)


def states(loaded):
    return {plugin.name: plugin.state for plugin in loaded.found}


def test_every_built_in_plugin_is_active_and_stands_in_the_registry():
    loaded = load_plugins()
    assert [plugin for plugin in loaded.found if plugin.state != "active"] == []
    names = {f"{singular(kind)}.{name}" for kind, specs in loaded.registry.specs.items() for name in specs}
    assert {plugin.name for plugin in loaded.found} == set(loaded.registry.origins.values()) <= names


def test_a_third_party_plugin_comes_through_the_same_door(third_party):
    folder = third_party("good", model())
    loaded = load_plugins()
    info = found("model.good", loaded)
    assert (info.kind, info.distribution, info.version) == ("model", "third-good", "1.2")
    assert info.origin == str(folder)
    assert "good" in loaded.registry.specs["models"]


@pytest.mark.parametrize("case", BROKEN)
def test_a_plugin_is_set_aside_with_its_reason_when_it(third_party, case):
    code, reason = BROKEN[case]
    third_party("bad", code, plugin="model.bad")
    loaded = load_plugins()
    bad = found("model.bad", loaded)
    assert bad.state == "quarantined"
    assert reason in bad.reason
    assert set(states(loaded).values()) == {"active", "quarantined"}
    assert loaded.registry.specs["models"]["ease"].build.__module__.startswith("recsmith_plugins")
    assert not loaded.manager.has_plugin("model.bad")


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_plugin_that_was_asked_for_by_name_is_an_error_when_it(third_party, case):
    third_party("bad", BROKEN[case][0], plugin="model.bad")
    with pytest.raises(PluginError, match=r"^plugin 'model\.bad' \(third-bad\) cannot be used: "):
        load_plugins(only=["recsmith", "model.bad"])


def needing(third_party, requirement, code=None):
    """A distribution whose plugin needs its extra `thing`."""
    folder = third_party("good", code or model())
    metadata = folder / "third_good-1.2.dist-info"
    (metadata / "entry_points.txt").write_text("[recsmith]\nmodel.good = third_good [thing]\n")
    facts = f"Provides-Extra: thing\nRequires-Dist: numpy\nRequires-Dist: {requirement}; extra == 'thing'\n"
    with (metadata / "METADATA").open("a") as file:
        file.write(facts)


@pytest.mark.parametrize("requirement", ["nobody-has-this", "numpy>=999", "nobody-has-this>=2"])
def test_a_plugin_whose_extra_is_not_installed_is_set_aside_and_not_imported(third_party, requirement):
    needing(third_party, requirement, code="raise RuntimeError")
    loaded = load_plugins()
    info = found("model.good", loaded)
    assert (info.state, info.reason) == ("lacking", f"it needs {requirement}: pip install 'third-good[thing]'")
    assert loaded.registry.aside == {"model.good": f"lacking: {info.reason}"}
    assert "good" not in load_plugins(only=["recsmith", "third-good"]).registry.specs["models"]
    with pytest.raises(PluginError, match=r"cannot be used: it needs .* pip install 'third-good\[thing\]'"):
        load_plugins(only=["model.good"])


def test_a_plugin_whose_extra_is_installed_is_active(third_party):
    needing(third_party, "numpy>=1")
    assert found("model.good", load_plugins()).state == "active"


def test_a_plugin_may_say_itself_what_it_lacks(third_party):
    third_party("good", "from recsmith.contracts.errors import LackingError\nraise LackingError('it needs a file')")
    info = found("model.good", load_plugins())
    assert (info.state, info.reason) == ("lacking", "it needs a file")


@pytest.mark.parametrize("record", ["{not json", '{"dir_info": {"editable": true}}', "[]"])
def test_a_malformed_record_of_where_a_distribution_came_from_is_passed_by(third_party, record):
    folder = third_party("good", model())
    (folder / "third_good-1.2.dist-info" / "direct_url.json").write_text(record)
    assert found("model.good", load_plugins()).origin == str(folder)


def test_an_entry_point_that_names_no_module_is_set_aside(third_party):
    folder = third_party("good", model())
    (folder / "third_good-1.2.dist-info" / "entry_points.txt").write_text("[recsmith]\nmodel.good = not a module!\n")
    assert found("model.good", load_plugins()).state == "quarantined"


def test_of_two_strangers_with_one_name_neither_is_taken_whatever_their_order(third_party):
    third_party("one", model("same"))
    third_party("two", model("same"))
    loaded = load_plugins()
    for name in ("model.one", "model.two"):
        assert found(name, loaded).state == "quarantined"
        assert (
            "the model 'same' is offered by model.one (third-one) and by model.two (third-two)"
            in found(name, loaded).reason
        )
    assert "same" not in loaded.registry.specs["models"]
    assert "same" in load_plugins(without=["third-two"]).registry.specs["models"]


def test_of_two_entry_points_with_one_name_neither_is_imported(third_party):
    third_party("one", model("one"), plugin="model.same")
    third_party("two", model("two"), plugin="model.same")
    loaded = load_plugins()
    assert {plugin.distribution for plugin in loaded.found if plugin.state == "quarantined"} == {
        "third-one",
        "third-two",
    }
    assert "third_one" not in sys.modules
    assert "one" in load_plugins(without=["third-two"]).registry.specs["models"]


def test_only_what_is_allowed_is_imported(third_party):
    third_party("bad", "import a_module_that_nobody_has")
    loaded = load_plugins(only=["model.popularity"])
    assert "third_bad" not in sys.modules
    assert found("model.bad", loaded).state == "not allowed"
    assert list(loaded.registry.specs["models"]) == ["popularity"]
    assert "ease" not in load_plugins(without=["model.ease"]).registry.specs["models"]


def test_a_distribution_stands_for_all_of_its_plugins(third_party):
    third_party("good", model())
    assert "good" not in load_plugins(only=["recsmith"]).registry.specs["models"]
    assert list(load_plugins(without=["recsmith"]).registry.specs["models"]) == ["good"]
    both = load_plugins(only=["recsmith", "third-good"], without=["model.ease"])
    assert {"good", "popularity"} <= set(both.registry.specs["models"])
    assert "ease" not in both.registry.specs["models"]


def test_the_operators_list_holds_whatever_a_plan_asks_for(third_party, monkeypatch):
    third_party("good", model())
    monkeypatch.setenv("RECSMITH_PLUGINS", "recsmith, ")
    loaded = load_plugins()
    assert (found("model.good", loaded).state, found("model.ease", loaded).state) == ("not allowed", "active")
    assert "RECSMITH_PLUGINS" in found("model.good", loaded).reason
    assert "third_good" not in sys.modules
    with pytest.raises(PluginError, match=r"'model.good' .* cannot be used: the environment variable RECSMITH_PLUGINS"):
        load_plugins(only=["model.good"])


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"only": ["model.eas"]}, r"^no installed plugin 'model.eas'\. Did you mean 'model.ease'\?"),
        ({"without": ["recsmit"]}, r"^no installed plugin 'recsmit'\. Did you mean 'recsmith'\?"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest(asked, sentence):
    with pytest.raises(PluginError, match=sentence):
        load_plugins(**asked)


def test_an_unknown_name_in_the_operators_list_says_where_it_stands(monkeypatch):
    monkeypatch.setenv("RECSMITH_PLUGINS", "recsmith,recsmith-hitlits")
    with pytest.raises(PluginError, match=r"^RECSMITH_PLUGINS: no installed plugin 'recsmith-hitlits'"):
        load_plugins()


def test_asking_for_what_a_plugin_that_was_set_aside_would_offer_says_why_it_is_not_here(third_party):
    third_party("bad", "import a_module_that_nobody_has")
    with pytest.raises(PluginError, match=r"^the plugin 'model.bad' is quarantined: ModuleNotFoundError"):
        load_plugins().registry.spec("models", "bad")


def test_what_a_plugin_prints_when_it_is_imported_goes_to_standard_error(third_party):
    third_party("loud", "import os\nprint('hello')\nos.write(1, b'from below\\n')\n" + model("loud"))
    program = (
        "from recsmith.wiring.plugins import load_plugins as load; print(len(load(['model.loud']).registry.origins))"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout == "1\n"
    assert sorted(ran.stderr.splitlines()) == ["from below", "hello"]


def test_standard_output_comes_back_whichever_thread_is_done_first():
    entered, leave = threading.Event(), threading.Event()

    def hold():
        with stdout_aside():
            entered.set()
            leave.wait(5)

    def follow():
        with stdout_aside():
            leave.wait(5)
            time.sleep(0.2)  # and leaves last

    before = sys.stdout
    threads = [threading.Thread(target=work) for work in (hold, follow)]
    threads[0].start()
    entered.wait(5)
    threads[1].start()
    time.sleep(0.2)  # the second would be inside by now, if it could
    leave.set()
    for thread in threads:
        thread.join()
    assert sys.stdout is before


def test_the_culprit_of_an_error_is_the_innermost_plugin_of_its_traceback(third_party):
    third_party("bad", model("bad", build="lambda config, context: 1 / 0"))
    loaded = load_plugins()
    with pytest.raises(ZeroDivisionError) as caught:
        loaded.registry.spec("models", "bad").build(None, None)
    assert loaded.culprit(caught.value) == found("model.bad", loaded)
    assert loaded.culprit(ValueError("raised nowhere")) is None


def test_the_entry_points_are_those_of_the_package_metadata():
    assert {plugin.name for plugin in load_plugins().found} == {p.name for p in entry_points(group="recsmith")}
