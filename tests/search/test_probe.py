"""Nodes that lack what the driver has are found before anything is written, on real clusters of one machine."""

from __future__ import annotations

import contextlib
import os
import platform
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from recsmith.contracts.config import Choice
from recsmith.contracts.errors import PluginError, StudyError
from recsmith.contracts.plan import Engine, TrialPlan
from recsmith.search.execute import nodes_ready
from recsmith.search.probe import Answer, Found, complaints
from recsmith.search.ray_session import ray_session
from recsmith.search.work import failure
from recsmith.study.worker import run_planned
from recsmith.testing.demo import demo_log
from recsmith.testing.logs import cycle_fold
from recsmith.wiring.plugins import load_plugins

HITLIST = """
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import ModelSpec
from recsmith_plugins.models.popularity import PopularityConfig, build

@hookimpl
def provide_models():
    offers = frozenset({"ranking", "new_users"})
    facts = {"config": PopularityConfig, "build": build, "training": "closed_form", "offers": offers}
    return [ModelSpec(name="hitlist", api_version=1, **facts)]
"""
LOUD = """
import os, pathlib
pathlib.Path(os.environ["LOUD"]).touch()
"""
NO_RECSMITH = """
import sys
class Without:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "recsmith":
            raise ModuleNotFoundError(f"No module named {name!r}")
sys.meta_path.insert(0, Without())
"""
LACKS_HITLIST = (
    "recsmith-hitlist 0.1.0 is not installed (model.hitlist needs it): pip install recsmith-hitlist==0.1.0 there"
)


def distribution(folder: Path, name: str, code: str) -> Path:
    """A folder that holds an installed plugin, for a PYTHONPATH."""
    metadata = folder / f"recsmith_{name}-0.1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: recsmith-{name}\nVersion: 0.1.0\n")
    (metadata / "entry_points.txt").write_text(f"[recsmith]\nmodel.{name} = recsmith_{name}\n")
    (folder / f"recsmith_{name}.py").write_text(code)
    return folder


@pytest.fixture
def hitlist(tmp_path):
    return distribution(tmp_path / "hitlist", "hitlist", HITLIST)


@pytest.fixture
def loaded(hitlist, monkeypatch):
    """The driver's plugins, a third-party one among them."""
    monkeypatch.syspath_prepend(str(hitlist))
    yield load_plugins()
    sys.modules.pop("recsmith_hitlist", None)


# --- what is said of an answer

OURS = (
    Found("model.ease", "recsmith", "0.1.0", "active", ""),
    Found("model.hitlist", "recsmith-hitlist", "0.1.0", "active", ""),
    Found("metric.hits", "recsmith-hitlist", "0.1.0", "active", ""),
)
PYTHON = platform.python_version()


def answer(*plugins, **facts):
    return Answer(**{"python": PYTHON, "version": "0.1.0", "plugins": plugins, **facts})


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        (answer(*OURS), None),
        (answer(*OURS, Found("model.more", "recsmith-more", "2.0", "not allowed", "")), None),
        (
            answer(OURS[0]),
            (
                "recsmith-hitlist 0.1.0 is not installed (model.hitlist, metric.hits need it): "
                "pip install recsmith-hitlist==0.1.0 there"
            ),
        ),
        (
            answer(OURS[0], *(plugin._replace(version="0.2.0") for plugin in OURS[1:])),
            "recsmith-hitlist is 0.2.0 there and 0.1.0 here: pip install recsmith-hitlist==0.1.0 there",
        ),
        (
            answer(*OURS[:2]),
            "recsmith-hitlist 0.1.0 has no metric.hits there as it has here: install the same build again there",
        ),
        (
            answer(*OURS[:2], OURS[2]._replace(state="quarantined", reason="ImportError: no libhits.so")),
            "metric.hits (recsmith-hitlist 0.1.0) is quarantined there, but active here: ImportError: no libhits.so",
        ),
        (
            answer(version=None, trouble="ModuleNotFoundError: No module named 'recsmith'"),
            (
                "recsmith 0.1.0 is not installed (ModuleNotFoundError: No module named 'recsmith'): "
                "pip install recsmith==0.1.0 there"
            ),
        ),
        (answer(version="0.0.9"), "recsmith is 0.0.9 there and 0.1.0 here: pip install recsmith==0.1.0 there"),
        (
            answer(trouble="PluginError: RECSMITH_PLUGINS: no installed plugin 'model.old'."),
            "its plugins cannot be loaded: PluginError: RECSMITH_PLUGINS: no installed plugin 'model.old'",
        ),
        (
            answer(python="3.1.4", version=None),
            (
                f"it runs Python 3.1 and the driver Python {PYTHON.rpartition('.')[0]}: "
                f"start Ray there with Python {PYTHON.rpartition('.')[0]}"
            ),
        ),
        (
            answer(*OURS, sees_study=False),
            "it does not see /home/me/study: put the study on storage that all nodes share under the same path",
        ),
    ],
)
def test_what_is_wrong_with_a_node_is_said_with_its_remedy(said, sentence):
    expected = [] if sentence is None else [sentence]
    assert list(complaints(said, "0.1.0", OURS, Path("/home/me/study"))) == expected


# --- who is asked


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning", "ignore::FutureWarning")
def test_a_running_ray_whose_workers_lack_a_plugin_is_found_out(tmp_path, monkeypatch, hitlist):
    with ray_session(Engine()):  # its workers know nothing of what comes later
        monkeypatch.syspath_prepend(str(hitlist))
        loaded = load_plugins()
        sys.modules.pop("recsmith_hitlist")
        with pytest.raises(PluginError) as caught, nodes_ready(Engine(), loaded, tmp_path / "study"):
            pass
        fitting = load_plugins(without=["model.hitlist"])
        with nodes_ready(Engine(), fitting, tmp_path / "study"):
            pass
        with pytest.raises(StudyError, match=r"a trial asks for 64000 CPUs .* no node of the cluster has both"):
            nodes_ready(Engine(cpus_per_trial=64_000), fitting, tmp_path / "study").__enter__()
    assert str(caught.value).partition(": ")[2] == f"{LACKS_HITLIST}."
    assert [path.name for path in tmp_path.iterdir()] == ["hitlist"]


@pytest.mark.parametrize("engine", [Engine(), Engine(name="inline")])
def test_trials_on_this_machine_alone_need_no_probe(engine, loaded, tmp_path):
    with nodes_ready(engine, loaded, tmp_path):
        assert "ray" not in sys.modules or not sys.modules["ray"].is_initialized()


def test_an_address_where_nobody_is_home_is_told_at_once(loaded, tmp_path):
    address = f"127.0.0.1:{free_port()}"
    began = time.monotonic()
    with pytest.raises(StudyError, match=rf"engine\.address: no Ray cluster answers at '{address}'"):
        nodes_ready(Engine(address=address), loaded, tmp_path).__enter__()
    assert time.monotonic() - began < 5


def test_an_address_of_rays_client_is_refused(loaded, tmp_path):
    with pytest.raises(StudyError, match="a study must be driven from a node of the cluster"):
        nodes_ready(Engine(address="ray://127.0.0.1:10001"), loaded, tmp_path).__enter__()


def trial_plan(folder: Path) -> TrialPlan:
    return TrialPlan(
        number=0,
        root=0,
        folder=str(folder / "trials" / "0"),
        configuration=Choice(name="hitlist"),
        seed=0,
        scenario="next_item",
        objective="ndcg@10",
        metrics=("ndcg@10",),
        plugins=("metric.ndcg", "model.hitlist", "model.popularity"),
    )


def test_a_trial_on_a_node_that_joined_later_without_the_plugin_says_so(tmp_path):
    plan = trial_plan(tmp_path)
    with pytest.raises(PluginError) as caught:
        run_planned(plan, cycle_fold(), lambda _: True)
    assert failure(plan, caught.value).reason == (
        "PluginError: no model 'hitlist'. Known: popularity.; "
        f"node {socket.gethostname()} came without model.hitlist: install there what the driver has"
    )


def test_a_trial_on_a_node_that_joined_later_without_recsmith_says_so(tmp_path):
    from recsmith.search.ray_engine import _post_mortem  # imports Ray

    words = """The actor died unexpectedly before finishing this task.
\tclass_name: ImplicitFunc
\tip: 10.0.0.3
RuntimeError: The actor with name ImplicitFunc failed to import on the worker. This may be because needed library \
dependencies are not installed in the worker environment:
Traceback (most recent call last):
ModuleNotFoundError: No module named 'recsmith'
An unexpected internal error occurred while the worker was executing a task."""
    assert _post_mortem(trial_plan(tmp_path), words, 1.0).reason == (
        "node 10.0.0.3: recsmith cannot be imported (ModuleNotFoundError: No module named 'recsmith'): "
        "install there what is here"
    )


# --- whole studies on clusters that `ray start` made


def free_port() -> int:
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        return door.getsockname()[1]


def environment(temp: Path, *paths: Path, **variables: str) -> dict[str, str]:
    """Of a node or a driver: the Rays of others are neither found nor reached by it."""
    ray = {"RAY_TMPDIR": str(temp), "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0123456789abcdef" * 2}
    return {**os.environ, **ray, "PYTHONPATH": os.pathsep.join(map(str, paths)), **variables}


@contextlib.contextmanager
def node(temp: Path, name: str, env: dict[str, str], address: str | None = None):
    """A Ray node of two CPUs; its address, or that of the cluster that it joins."""
    port = free_port()
    place = [f"--address={address}"] if address else ["--head", f"--port={port}", f"--temp-dir={temp}"]
    options = ["--block", "--num-cpus=2", "--object-store-memory=80000000", "--disable-usage-stats"]
    command = [str(Path(sys.executable).with_name("ray")), "start", f"--node-name={name}", *place, *options]
    if not address:
        command.append("--include-dashboard=false")
    log = temp / f"{name}.log"
    with log.open("w") as file:
        process = subprocess.Popen(command, env=env, stdout=file, stderr=file, start_new_session=True)
    try:
        while "will now block" not in log.read_text():
            assert process.poll() is None, log.read_text()
            time.sleep(0.05)
        yield address or f"127.0.0.1:{port}"
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(20)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture
def temp(tmp_path_factory):
    """Ray's own folder: the paths of its sockets must be short."""
    return tmp_path_factory.mktemp("r")


def run_study(log: Path, folder: Path, address: str, env: dict[str, str]) -> subprocess.CompletedProcess:
    program = "from recsmith.cli.main import main; main()"
    plan = ["--trials", "3", "--set", "model=[hitlist, popularity]", "--set", f"engine.address={address}", "--quiet"]
    command = [sys.executable, "-c", program, "study", "run", str(log), "-o", str(folder), *plan]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=env)


@pytest.mark.slow
def test_a_study_begins_only_where_every_node_has_its_plugins_and_uses_no_others(tmp_path, temp, hitlist):
    log, study, noise = demo_log(tmp_path / "log"), tmp_path / "study", tmp_path / "noise"
    loud = distribution(tmp_path / "loud", "loud", LOUD)
    driver = environment(temp, hitlist, loud, LOUD=str(noise), RECSMITH_PLUGINS="recsmith,recsmith-hitlist")
    with node(temp, "bare", environment(temp)) as address:
        refused = run_study(log, study, address, driver)
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1), refused.stderr
    assert refused.stderr.endswith(f"(bare): {LACKS_HITLIST}.\n")
    assert not study.exists()

    with node(temp, "good", environment(temp, hitlist, loud, LOUD=str(noise))) as address:
        done = run_study(log, study, address, driver)
        assert done.returncode == 0, done.stderr
    shown = subprocess.run(
        [sys.executable, "-c", "from recsmith.cli.main import main; main()", "study", "show", str(study)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "3 complete" in shown.stdout
    assert "hitlist" in shown.stdout
    assert not noise.exists()  # the allow-list of the driver holds in the workers


@pytest.mark.slow
def test_of_several_nodes_each_that_lacks_something_is_named_with_it(tmp_path, temp, hitlist):
    log, study = demo_log(tmp_path / "log"), tmp_path / "study"
    (tmp_path / "without").mkdir()
    (tmp_path / "without" / "sitecustomize.py").write_text(NO_RECSMITH)
    with contextlib.ExitStack() as nodes:
        address = nodes.enter_context(node(temp, "good", environment(temp, hitlist)))
        for name, env in {
            "bare": environment(temp),
            "strict": environment(temp, hitlist, RECSMITH_PLUGINS="recsmith"),
            "empty": environment(temp, tmp_path / "without"),
        }.items():
            nodes.enter_context(node(temp, name, env, address))
        refused = run_study(log, study, address, environment(temp, hitlist))
    assert refused.returncode == 2, refused.stderr
    said = dict(line.split("(", 1)[1].split("): ", 1) for line in refused.stderr.splitlines())
    assert said == {
        "bare": f"{LACKS_HITLIST}.",
        "strict": (
            "model.hitlist (recsmith-hitlist 0.1.0) is not allowed there, but active here: "
            "the environment variable RECSMITH_PLUGINS does not name it."
        ),
        "empty": (
            "recsmith 0.1.0 is not installed (ModuleNotFoundError: No module named 'recsmith'): "
            "pip install recsmith==0.1.0 there."
        ),
    }
    assert not study.exists()
