"""One thread for every library, here and in subprocesses; plugins of others, as a distribution brings them."""

import os
import sys

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
