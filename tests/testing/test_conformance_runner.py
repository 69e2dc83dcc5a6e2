"""The suite in a child process: plugins that crash, hang, exit and print, and source folders that are not installed."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from recsmith.contracts.errors import PluginError
from recsmith.testing.conformance import checks_of
from recsmith.testing.conformance.runner import examine, is_folder
from recsmith.testing.conformance.source import entry_points_of, read_source
from recsmith.wiring.plugins import ALLOW_LIST, load_plugins

MODULE = """
{at_import}
import ctypes, os, subprocess, time
from pathlib import Path
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import PartSpec

def build(config, context):
    {at_build}
    return object()

@hookimpl
def provide_blocks():
    return [PartSpec(name={name!r}, api_version=1, build=build)]
"""

BUILDS = {
    "fine": "pass",
    "crashes": "ctypes.string_at(0)",
    "hangs": "time.sleep(600)",
    "prints": 'print("from python"); ctypes.CDLL(None).puts(b"from c"); ctypes.CDLL(None).fflush(None)',
    "exits": "os._exit(3)",
}

OWN = "builds_at_every_corner"  # the one check that builds them; those of histories are none of theirs
OF_HISTORIES = (
    "history_gives_a_summary_at_every_place",
    "history_sees_no_later_vector",
    "history_reads_each_list_alone",
    "history_learns",
)


def source(folder, builds, at_import="", inner="src"):
    """A source folder with one block for each of `builds` (name -> what its build does)."""
    (folder / inner).mkdir(parents=True, exist_ok=True)
    lines = ["[project]", 'name = "recsmith-wild"', 'version = "3.1"', "[project.entry-points.recsmith]"]
    for name, at_build in builds.items():
        module = MODULE.format(name=name, at_build=at_build, at_import=at_import)
        (folder / inner / f"wild_{name}.py").write_text(module)
        lines.append(f'"block.{name}" = "wild_{name}"')
    (folder / "pyproject.toml").write_text("\n".join(lines))
    return folder


@pytest.fixture(scope="module")
def examined(tmp_path_factory):
    """How the checks of every one of them ended, and what was printed on standard error meanwhile."""
    folder = source(tmp_path_factory.mktemp("wild"), BUILDS)
    kept, printed = os.dup(2), folder / "printed"
    with printed.open("wb") as target, pytest.MonkeyPatch.context() as patch:
        patch.setenv(ALLOW_LIST, "recsmith-wild")
        os.dup2(target.fileno(), 2)
        try:
            found = list(examine(str(folder), timeout=5.0))
        finally:
            os.dup2(kept, 2)
            os.close(kept)
    return found, printed.read_text()


def test_every_promise_of_every_plugin_of_the_folder_is_examined_once_in_order(examined):
    found, _ = examined
    checks = [check.__name__ for check in checks_of("blocks")]
    assert checks[-5:] == [OWN, *OF_HISTORIES]
    assert [(o.name, o.check) for o in found] == [(name, check) for name in BUILDS for check in checks]
    assert {outcome.promise for outcome in found if outcome.check == OWN} == {
        "`build` gives something at every corner of the space."
    }


def test_a_crash_an_exit_and_a_hang_break_the_promise_that_was_examined_and_no_other(examined):
    found, _ = examined
    ends = {(o.name, o.check): (o.state, o.detail) for o in found}
    aside = {(name, check): ("not applicable", "it offers no history") for name in BUILDS for check in OF_HISTORIES}
    assert {key: end for key, end in ends.items() if end[0] != "kept"} == aside | {
        ("crashes", OWN): ("broken", "the interpreter died (SIGSEGV)"),
        ("exits", OWN): ("broken", "the interpreter ended (exit code 3)"),
        ("hangs", OWN): ("broken", "did not return within 5 s"),
    }
    assert next(o.seconds for o in found if o.detail.startswith("did not")) >= 5


def test_what_a_plugin_prints_goes_to_standard_error(examined):
    _, printed = examined
    assert "from python" in printed
    assert "from c" in printed


def test_where_it_crashed_is_told_on_standard_error(examined):
    _, printed = examined
    assert "Fatal Python error: Segmentation fault" in printed
    assert "wild_crashes.py" in printed


def test_an_interrupt_ends_the_child_and_what_the_child_started(tmp_path, monkeypatch):
    monkeypatch.setenv(ALLOW_LIST, "recsmith-wild")
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    pids = tmp_path / "pids"
    note = f"Path({str(pids)!r})"
    hang = (
        f"{note}.with_suffix('.new').write_text(f\"{{os.getpid()}} {{subprocess.Popen(['sleep', '600']).pid}}\"); "
        f"{note}.with_suffix('.new').rename({note}); time.sleep(600)"
    )
    folder = source(tmp_path / "wild", {"hangs": hang}, inner="")

    def interrupt():
        while not pids.exists():
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    try:
        with pytest.raises(KeyboardInterrupt):
            list(examine([], folder=folder))
    finally:
        signal.signal(signal.SIGINT, before)
    for pid in pids.read_text().split():
        assert ended(int(pid))


def ended(pid):
    """Whether a process is no more, or a zombie that nobody here can collect."""
    for _ in range(100):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False


def test_why_a_plugin_cannot_be_loaded_reaches_the_parent(tmp_path, monkeypatch):
    monkeypatch.setenv(ALLOW_LIST, "recsmith-wild")
    folder = source(tmp_path, {"fine": "pass"}, at_import="import a_module_that_nobody_has")
    with pytest.raises(PluginError, match=r"'block.fine' \(recsmith-wild\) is quarantined: .*a_module_that_nobody_has"):
        list(examine(["block.fine"], folder=folder))


def test_a_plugin_that_ends_the_interpreter_when_it_is_imported_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setenv(ALLOW_LIST, "recsmith-wild")
    folder = source(tmp_path, {"fine": "pass"}, at_import="import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    with pytest.raises(PluginError, match=r"cannot be loaded: the interpreter died \(SIGKILL\)\. Allow fewer"):
        list(examine(str(folder)))


# --- source folders, without a child ----------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def _same_path(monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name.startswith("wild_"):
            del sys.modules[name]


@pytest.mark.parametrize("inner", ["src", ""])
def test_a_folder_that_is_not_installed_is_loaded_under_its_own_name(tmp_path, inner):
    folder = source(tmp_path / "wild", {"fine": "pass"}, inner=inner)
    loaded = load_plugins(points=entry_points_of(read_source(folder)))
    assert "fine" in loaded.registry.specs["blocks"]
    info = next(info for info in loaded.found if info.name == "block.fine")
    assert (info.distribution, info.version, info.origin) == ("recsmith-wild", "3.1", str(folder))


def install(folder, site, *, editable):
    """Leave in `site` what an installation of `folder` leaves there, without its newest plugin."""
    metadata = site / "recsmith_wild-3.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: recsmith-wild\nVersion: 3.0\n")
    (metadata / "entry_points.txt").write_text("[recsmith]\nblock.fine = wild_fine\n")
    url = {"url": folder.as_uri(), "dir_info": {"editable": True} if editable else {}}
    (metadata / "direct_url.json").write_text(json.dumps(url))
    sys.path.insert(0, str(site))


def test_of_an_editable_installation_only_what_is_new_since_then_is_added(tmp_path):
    folder = source(tmp_path / "wild", {"fine": "pass", "newer": "pass"})
    install(folder, tmp_path / "site", editable=True)
    points = entry_points_of(read_source(folder))
    assert [point.name for point in points] == ["block.newer"]
    assert {"block.fine", "block.newer"} <= {info.name for info in load_plugins(points=points).found if not info.reason}


def test_a_folder_whose_distribution_is_installed_from_elsewhere_is_refused(tmp_path):
    folder = source(tmp_path / "wild", {"fine": "pass"})
    install(folder, tmp_path / "site", editable=False)
    with pytest.raises(PluginError, match=r"recsmith-wild 3\.0 is installed, but not from .*wild: install the folder"):
        entry_points_of(read_source(folder))
    assert "block.fine" in {point.name for point in entry_points(group="recsmith")}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, r"pyproject\.toml: cannot be read \(No such file or directory\)"),
        ("[project\n", r"pyproject\.toml: is no TOML: .* \(at line 1, column 9\)"),
        ("[project]\nversion = '1'\n", r"pyproject\.toml: \[project\] has no name"),
        (
            "[project]\nname = 'wild'\n",
            r"pyproject\.toml: declares no plugin: write \[project\.entry-points\.recsmith\]",
        ),
        (
            "[project]\nname = 'wild'\n[project.entry-points.recsmith]\n'block.fine' = 'not a module'\n",
            r"'block\.fine' is 'not a module', which is no module",
        ),
    ],
)
def test_a_folder_that_declares_no_plugin_is_refused_with_its_file(tmp_path, text, says):
    if text is not None:
        (tmp_path / "pyproject.toml").write_text(text)
    with pytest.raises(PluginError, match=says):
        list(examine(str(tmp_path)))


@pytest.mark.parametrize(
    ("typed", "folder"),
    [(".", True), ("./recsmith", True), ("wild", True), ("recsmith", False), ("block.fine", False), ("nowhere", False)],
)
def test_what_somebody_typed_is_an_installed_name_before_it_is_a_folder(tmp_path, monkeypatch, typed, folder):
    source(tmp_path / "recsmith", {"fine": "pass"})
    source(tmp_path / "wild", {"fine": "pass"})
    monkeypatch.chdir(tmp_path)
    assert is_folder(typed) == folder
