"""A crash while an artifact is replaced leaves the old one, or the new one, whole."""

import random
import shutil
import subprocess
import sys
import time

import pytest

from recsmith.artifacts import place
from recsmith.artifacts.load import load_artifact, verify
from recsmith.contracts.errors import ArtifactError

# Replaces the artifact at argv[2] by the one at argv[1], and says so, until it is killed.
PROGRAM = """
import sys
from pathlib import Path
from recsmith.artifacts.load import load_artifact
from recsmith.artifacts.members import Member
from recsmith.artifacts.save import save_artifact
from recsmith.artifacts.verify import read_content
from recsmith.testing.logs import groups_fold
from recsmith.wiring.plugins import load_plugins

content = read_content(Path(sys.argv[1]))
registry = load_plugins(only=[use.entry_point for use in content.manifest.plugins]).registry
while True:
    save_artifact(Path(sys.argv[2]), content.members, groups_fold(), registry, facts=content.manifest.facts)
    print("saved", flush=True)
"""


@pytest.mark.parametrize("seed", range(3))
def test_kill_9_at_any_moment_leaves_a_whole_artifact(original, save, tmp_path, seed):
    destination = save(tmp_path / "artifact", "popularity")
    command = [sys.executable, "-c", PROGRAM, str(original), str(destination)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as saver:
        if seed:  # the first round is killed during its very first save
            saver.stdout.readline()
        else:
            while not (tmp_path / ".artifact.new").exists():
                time.sleep(0.001)
        time.sleep(random.Random(seed).random() * 0.1)  # noqa: S311 - no secret
        saver.kill()
    assert verify(destination).configurations[0].name in {"popularity", "ease"}
    load_artifact(destination)
    save(destination, "popularity")
    assert [path.name for path in tmp_path.iterdir()] == ["artifact"]


def test_where_folders_cannot_be_exchanged_they_are_moved(save, tmp_path, monkeypatch):
    monkeypatch.setattr(place, "_exchange", lambda _one, _other: False)
    save(tmp_path / "artifact", "ease")
    save(tmp_path / "artifact", "popularity")
    assert verify(tmp_path / "artifact").configurations[0].name == "popularity"
    assert [path.name for path in tmp_path.iterdir()] == ["artifact"]


def test_a_crash_between_the_two_moves_is_told_and_mended(original, save, tmp_path, registry, fold, facts):
    destination = tmp_path / "artifact"
    shutil.copytree(original, place.set_aside(destination))
    with pytest.raises(ArtifactError, match=r"A save was cut off: rename .*\.artifact\.old to artifact\."):
        verify(destination)
    with pytest.raises(ArtifactError, match="no combiner"), place.placed(destination):
        raise ArtifactError("no combiner")
    assert verify(destination).configurations[0].name == "ease"
