"""`write_distribution` writes a plugin of each kind that works as it is, whole or not at all."""

import inspect
import os
import re
import shlex
import subprocess
import sys
import tomllib
from importlib import util
from pathlib import Path

import numpy as np
import pytest

from recsmith.contracts.config import Choice
from recsmith.contracts.domains import Categorical, Float, Int
from recsmith.contracts.errors import PluginError
from recsmith.contracts.space import OptionNode
from recsmith.study.setup import set_up
from recsmith.testing.demo import demo_log
from recsmith.testing.scaffold import USES, write_distribution
from recsmith.wiring.plan import load_plan
from recsmith.wiring.plugins import load_plugins
from recsmith.wiring.registry import singular

KINDS = sorted(USES)
WITHOUT_A_STUDY = ("combiner", "exporter")  # there is no `study run` in their README


def plural(kind):
    return "losses" if kind == "loss" else f"{kind}s"


def folder_name(kind):
    return f"recsmith-own-{kind.replace('_', '-')}"


def project(folder):
    return tomllib.loads((folder / "pyproject.toml").read_text())["project"]


def install(folder, site):
    """What an installation leaves for `importlib.metadata`, without pip (test_installed_scaffold.py has both)."""
    told = project(folder)
    info = site / f"{told['name'].replace('-', '_')}-{told['version']}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {told['name']}\nVersion: {told['version']}\n")
    [(group, points)] = told["entry-points"].items()
    (info / "entry_points.txt").write_text(
        "\n".join([f"[{group}]", *(f"{name} = {value}" for name, value in points.items())])
    )


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A folder with one distribution of each kind, seen by Python as installed ones are."""
    destination, site = tmp_path_factory.mktemp("written"), tmp_path_factory.mktemp("site")
    places = [write_distribution(f"own_{kind}", kind, destination) for kind in KINDS]
    for place in places:
        install(place, site)
    before = list(sys.path)
    sys.path[:0] = map(str, [site, *places])
    yield destination
    sys.path[:] = before
    for kind in KINDS:
        for module in (f"recsmith_own_{kind}", f"recsmith_own_{kind}.own_{kind}"):
            sys.modules.pop(module, None)


@pytest.fixture(scope="module")
def loaded(written):
    return load_plugins()


def test_there_is_a_template_for_every_kind_that_a_plugin_can_be_but_blocks():
    registry = load_plugins(only=["schedule.constant"]).registry
    assert {singular(kind) for kind in registry.specs} - {"block"} == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_a_distribution_holds_these_files_and_no_token_of_the_template(kind, written):
    folder = written / folder_name(kind)
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    package = f"recsmith_own_{kind}"
    expected = {"pyproject.toml", "README.md", f"tests/test_own_{kind}.py", f"tests/test_own_{kind}_answers.py"}
    code = {f"{package}/__init__.py", f"{package}/own_{kind}.py"}
    assert {name for name in files if "__pycache__" not in name} == expected | code
    for name in expected | code:
        assert re.findall(r"my.?name|A_KIND|A_USE|templates", files[name].read_text(), re.IGNORECASE) == []


@pytest.mark.parametrize("kind", KINDS)
def test_its_entry_point_leads_to_the_written_module(kind, written):
    told = project(written / folder_name(kind))
    assert told["name"] == folder_name(kind)
    assert told["entry-points"] == {"recsmith": {f"{kind}.own_{kind}": f"recsmith_own_{kind}.own_{kind}"}}


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_admitted_beside_the_built_in_plugins_and_builds_with_its_defaults(kind, loaded):
    found = {info.name: (info.state, info.reason, info.distribution, info.version) for info in loaded.found}
    assert found[f"{kind}.own_{kind}"] == ("active", "", folder_name(kind), "0.1.0")
    context = loaded.registry.context(item_counts=np.array([3, 1, 2]), users=4)
    thing = loaded.registry.build(plural(kind), Choice(name=f"own_{kind}"), context)
    camel = "".join(part.capitalize() for part in f"own_{kind}".split("_"))
    assert type(thing).__name__ == camel


@pytest.mark.parametrize("kind", KINDS)
def test_it_has_a_search_space_with_its_defaults_inside(kind, loaded):
    config = loaded.registry.spec(plural(kind), f"own_{kind}").config
    domains = [
        (mark, field.default)
        for field in config.model_fields.values()
        for mark in field.metadata
        if isinstance(mark, (Int, Float, Categorical))
    ]
    assert domains
    assert all(mark.contains(default) for mark, default in domains)


@pytest.mark.parametrize("kind", KINDS)
def test_it_gives_the_known_answers_of_its_own_test(kind, written, loaded, tmp_path):
    path = written / folder_name(kind) / "tests" / f"test_own_{kind}_answers.py"
    spec = util.spec_from_file_location(f"own_{kind}_answers", path)
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    tests = [value for name, value in vars(module).items() if name.startswith("test_")]
    assert len(tests) == 1
    for test in tests:
        test(*[tmp_path for _ in inspect.signature(test).parameters])


def commands(kind, written):
    """The recsmith commands of the section "Use" of a README, as lists of words."""
    readme = (written / folder_name(kind) / "README.md").read_text()
    use = readme.partition("## Use\n")[2].partition("\n## ")[0]
    return [shlex.split(line) for line in use.splitlines() if line.startswith("recsmith ")]


def used_by(setup, keys):
    """What the last of the settings `keys` led to; without any, the reader."""
    plan = setup.plan
    if not keys:
        return setup.dataset.reader
    if not keys[-1].startswith("model"):
        return {"split": plan.split and plan.split.name, "objective": plan.objective}[keys[-1]]
    node = setup.space.root
    for name in keys[-1].split(".")[1:]:
        node = (node.options if isinstance(node, OptionNode) else node.fields)[name]
    return sorted(node.options)


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    return demo_log(tmp_path_factory.mktemp("shop"), users=60, items=40)


@pytest.mark.parametrize("kind", sorted({*KINDS} - {*WITHOUT_A_STUDY}))
def test_the_study_of_its_readme_fits_the_kind_and_uses_it(kind, written, loaded, shop, tmp_path):
    [words] = commands(kind, written)
    assert words[:6] == ["recsmith", "study", "run", "LOG", "-o", "study"]
    options = list(zip(words[6::2], words[7::2], strict=True))
    settings = [value for option, value in options if option == "--set"]
    source = shop
    if kind == "reader":
        table = loaded.registry.build("readers", Choice(name="folder"), loaded.registry.context()).read(shop)
        source = loaded.registry.spec("readers", "own_reader").example(tmp_path, table.interactions)
    setup = set_up(load_plan(source, {"scenario": dict(options).get("--scenario")}, settings), loaded.registry)
    assert used_by(setup, [setting.partition("=")[0] for setting in settings]) == {
        "splitter": "own_splitter",
        "metric": "own_metric@10",
        "reader": "own_reader",
        "model": ["own_model", "popularity"],
    }.get(kind, [f"own_{kind}"])


def test_the_export_of_its_readme_names_it(written):
    assert commands("exporter", written) == [
        ["recsmith", "export", "study", "-o", "artifact.zip", "--format", "own_exporter"]
    ]


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("HitList", "hit_list"),
        ("hit-list", "hit_list"),
        ("hit list", "hit_list"),
        ("hit__list", "hit_list"),
        ("_hit", "hit"),
        ("2tower", "model_2tower"),
        ("class", "class_model"),
        ("", "my_model"),
        ("größe", "gr_e"),
        ("../evil", "evil"),
        ("x" * 61, "x" * 40),
    ],
)
def test_what_is_no_name_is_refused_with_one_that_is(name, near, tmp_path):
    with pytest.raises(PluginError, match=f"for example '{near}'"):
        write_distribution(name, "model", tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert write_distribution(near, "model", tmp_path).is_dir()


def test_an_unknown_kind_is_refused_with_the_nearest(tmp_path):
    with pytest.raises(PluginError, match=r"no kind of plugin 'models'. Did you mean 'model'\? Known: combiner, enc"):
        write_distribution("hitlist", "models", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_name_of_an_installed_plugin_of_the_kind_is_refused(tmp_path):
    with pytest.raises(PluginError, match="recsmith offers the model 'ease' already"):
        write_distribution("ease", "model", tmp_path)
    assert write_distribution("ease", "metric", tmp_path) == tmp_path / "recsmith-ease"


@pytest.mark.parametrize(
    ("name", "kind"),
    [("config", "model"), ("state", "encoder"), ("draw", "sampler"), ("no_sampler", "loss"), ("value_error", "reader")],
)
def test_a_name_whose_class_would_hide_another_is_refused(name, kind, tmp_path):
    with pytest.raises(PluginError, match=f"for example '{name}_{kind}'"):
        write_distribution(name, kind, tmp_path)
    assert write_distribution(f"{name}_{kind}", kind, tmp_path).is_dir()


@pytest.mark.parametrize("name", ["my_name", "my_name_x", "model_my_name"])
def test_a_name_like_the_template_s_own_is_put_in_once(name, tmp_path):
    folder = write_distribution(name, "model", tmp_path)
    assert project(folder)["entry-points"]["recsmith"] == {f"model.{name}": f"recsmith_{name}.{name}"}
    source = (folder / f"recsmith_{name}" / f"{name}.py").read_text()
    assert f'name="{name}"' in source
    assert f"class {''.join(part.capitalize() for part in name.split('_'))}:" in source


@pytest.mark.parametrize("there", ["a folder", "a file", "a link to nowhere"])
def test_an_occupied_place_is_refused_and_left_alone(there, tmp_path):
    place = tmp_path / "recsmith-hitlist"
    {
        "a folder": place.mkdir,
        "a file": lambda: place.write_text("mine"),
        "a link to nowhere": lambda: place.symlink_to(tmp_path / "nowhere"),
    }[there]()
    before = place.lstat()
    with pytest.raises(PluginError, match="exists already"):
        write_distribution("hitlist", "model", tmp_path)
    assert (list(tmp_path.iterdir()), place.lstat().st_ino) == ([place], before.st_ino)


def test_a_write_that_fails_half_way_leaves_nothing(tmp_path):
    program = (
        "import resource, sys; from pathlib import Path; from recsmith.testing.scaffold import write_distribution\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))  # no file may grow beyond: what a full disk does\n"
        "write_distribution('hitlist', 'model', Path(sys.argv[1]))"
    )
    ran = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=False)
    assert "PluginError" in ran.stderr
    assert "recsmith-hitlist: cannot be written: File too large" in ran.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_destination_that_cannot_hold_a_folder_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(PluginError, match=r"cannot be written: .*Choose another --dest"):
        write_distribution("hitlist", "model", tmp_path / "file")


def test_a_missing_destination_is_made_and_the_files_can_be_read_by_others(tmp_path):
    folder = write_distribution("hitlist", "model", tmp_path / "deep" / "down")
    assert folder == tmp_path / "deep" / "down" / "recsmith-hitlist"
    mask = os.umask(0)
    os.umask(mask)
    assert folder.stat().st_mode & 0o777 == 0o777 & ~mask
    assert Path(folder, "README.md").stat().st_mode & 0o777 == 0o666 & ~mask
