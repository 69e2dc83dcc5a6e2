"""One thread for every library, here and in subprocesses; plugins of others, as a distribution brings them."""

import os
import shlex
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"  # small problems on few, busy cores


@pytest.fixture
def third_party(tmp_path, monkeypatch):
    """Install a distribution `third-<name>` 1.2 with one module: a metadata folder and the module on the path."""
    modules = []

    def install(name, code, *, plugin=None):
        folder = tmp_path / "third_party" / name
        metadata = folder / f"third_{name}-1.2.dist-info"
        metadata.mkdir(parents=True)
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: third-{name}\nVersion: 1.2\n")
        (metadata / "entry_points.txt").write_text(f"[recsmith]\n{plugin or f'model.{name}'} = third_{name}\n")
        (folder / f"third_{name}.py").write_text(code)
        modules.append(f"third_{name}")
        monkeypatch.syspath_prepend(str(folder))
        monkeypatch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)  # for the processes that a test starts
        return folder

    yield install
    for module in modules:
        sys.modules.pop(module, None)


class FreshEnvironment:
    """A virtual environment of its own that sees what the running interpreter has installed."""

    def __init__(self, folder):
        venv.create(folder, with_pip=True)
        self.bin = folder / "bin"
        places = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
        own = Path(self.run("python -c 'import sysconfig; print(sysconfig.get_path(\"purelib\"))'").stdout.strip())
        own.joinpath("outside.pth").write_text(
            "".join(f"import site; site.addsitedir({p!r})\n" for p in sorted(places))
        )
        script = self.bin / "recsmith"
        script.write_text(f"#!{self.bin / 'python'}\nfrom recsmith.cli.main import main\nmain()\n")
        script.chmod(0o755)

    def run(self, command, *, cwd=None, exit_code=0, online=False):
        """Run a command line as if the environment were activated; pip uses what is there, and asks no index."""
        offline = {} if online else {"PIP_NO_INDEX": "1", "PIP_NO_DEPS": "1", "PIP_NO_BUILD_ISOLATION": "0"}
        environment = {**os.environ, "PATH": f"{self.bin}{os.pathsep}{os.environ['PATH']}", **offline}
        done = subprocess.run(
            command if isinstance(command, list) else shlex.split(command),
            cwd=cwd,
            env={**environment, "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == exit_code, f"{command}\n{done.stdout}\n{done.stderr}"
        return done


@pytest.fixture(scope="session")
def fresh_environment(tmp_path_factory):
    """Makes fresh environments, one for each call."""
    return lambda: FreshEnvironment(tmp_path_factory.mktemp("environment"))
