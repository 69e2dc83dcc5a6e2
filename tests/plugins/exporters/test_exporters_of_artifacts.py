"""Both exporters write an artifact whole or not at all, and what they write is the artifact."""

import io
import shutil
import tarfile

import numpy as np
import pytest

from recsmith.artifacts.export import export_artifact, unpack
from recsmith.artifacts.load import load_artifact, verify
from recsmith.artifacts.save import ArtifactFacts, Member, save_artifact
from recsmith.contracts.config import Choice
from recsmith.contracts.data import State
from recsmith.contracts.errors import ArtifactError
from recsmith.testing.logs import popular_fold
from recsmith.wiring.plugins import load_plugins


@pytest.fixture(scope="module")
def registry():
    return load_plugins(only=["model.popularity", "exporter.folder", "exporter.tar"]).registry


@pytest.fixture(scope="module")
def original(registry, tmp_path_factory):
    fold = popular_fold(users=30)
    facts = ArtifactFacts(
        study="s", objective="ndcg@10", metrics={}, split="leave_last", split_hash="0", data_fingerprint="1"
    )
    member = Member(Choice(name="popularity"), State(arrays={"counts": fold.train.counts.astype(np.float32)}))
    return save_artifact(tmp_path_factory.mktemp("export") / "artifact", [member], fold, registry, facts=facts)


@pytest.fixture
def export(registry):
    return lambda artifact, destination, name: export_artifact(artifact, destination, Choice(name=name), registry)


def content(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_folder_is_copied_byte_for_byte(original, export, tmp_path):
    out = export(original, tmp_path / "deep" / "copy", "folder")
    assert content(out) == content(original)
    assert load_artifact(out).recommend(["u1"]) == load_artifact(original).recommend(["u1"])
    assert [path.name for path in out.parent.iterdir()] == ["copy"]


def test_an_archive_comes_back_as_the_artifact(original, export, tmp_path):
    out = export(original, tmp_path / "artifact.tar.gz", "tar")
    assert content(unpack(out, tmp_path / "back")) == content(original)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["artifact.tar.gz", "back"]


def test_equal_artifacts_give_equal_archives_without_traces_of_the_machine(original, export, tmp_path):
    copy = shutil.copytree(original, tmp_path / "elsewhere", copy_function=shutil.copyfile)
    (copy / "README.md").chmod(0o600)
    one = export(original, tmp_path / "one.tar.gz", "tar")
    two = export(copy, tmp_path / "two.tar.gz", "tar")
    assert one.read_bytes() == two.read_bytes()
    with tarfile.open(one) as archive:
        entries = archive.getmembers()
    assert entries[0].name == "artifact/manifest.json"
    assert [entry.name for entry in entries][1:] == sorted(entry.name for entry in entries[1:])
    assert {(entry.mtime, entry.uid, entry.gid, entry.uname, entry.mode) for entry in entries} == {(0, 0, 0, "", 0o644)}


@pytest.mark.parametrize("name", ["folder", "tar"])
def test_nothing_is_overwritten(original, export, tmp_path, name):
    (tmp_path / "there").write_text("mine")
    with pytest.raises(ArtifactError, match="exists already"):
        export(original, tmp_path / "there", name)
    assert (tmp_path / "there").read_text() == "mine"


@pytest.mark.parametrize("name", ["folder", "tar"])
@pytest.mark.parametrize("verified", [True, False])
def test_a_changed_artifact_is_not_exported(original, registry, export, tmp_path, name, verified):
    broken = shutil.copytree(original, tmp_path / "broken")
    (broken / "README.md").write_text("changed")
    direct = registry.build("exporters", Choice(name=name), registry.context()).export
    with pytest.raises(ArtifactError, match="not the file that was saved"):
        export(broken, tmp_path / "out", name) if verified else direct(broken, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["broken"]


@pytest.fixture
def packed(original, tmp_path):
    """Pack the artifact's files and what a test adds or puts in their place."""

    def pack(*extra, leave_out=(), first="manifest.json"):
        out = tmp_path / "attack.tar.gz"
        names = [path.relative_to(original).as_posix() for path in sorted(original.rglob("*")) if path.is_file()]
        names.sort(key=lambda name: name != first)
        with tarfile.open(out, "w:gz") as archive:
            for name in names:
                if name not in leave_out:
                    archive.add(original / name, f"artifact/{name}")
            for entry, data in extra:
                archive.addfile(entry, io.BytesIO(data))
        return out

    return pack


def entry(name, size=0, kind=tarfile.REGTYPE, target=""):
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname = size, kind, target
    return info


ATTACKS = {
    "a path outside": lambda pack: pack((entry("../evil", 1), b"x")),
    "an absolute path": lambda pack: pack((entry("/evil", 1), b"x")),
    "a path outside through the folder": lambda pack: pack((entry("artifact/../../evil", 1), b"x")),
    "an unlisted file": lambda pack: pack((entry("artifact/evil.py", 1), b"x")),
    "a file twice": lambda pack: pack((entry("artifact/README.md", 1), b"x")),
    "a link": lambda pack: pack(
        (entry("artifact/README.md", kind=tarfile.SYMTYPE, target="/etc/passwd"), b""), leave_out=["README.md"]
    ),
    "a hard link": lambda pack: pack(
        (entry("artifact/README.md", kind=tarfile.LNKTYPE, target="artifact/golden.json"), b""), leave_out=["README.md"]
    ),
    "a device": lambda pack: pack((entry("artifact/README.md", kind=tarfile.CHRTYPE), b""), leave_out=["README.md"]),
    "a larger file": lambda pack: pack((entry("artifact/README.md", 10**6), b"x" * 10**6), leave_out=["README.md"]),
    "a missing file": lambda pack: pack(leave_out=["README.md"]),
    "no manifest first": lambda pack: pack(first="README.md"),
}


@pytest.mark.parametrize("what", ATTACKS)
def test_an_archive_with_anything_else_is_refused(packed, tmp_path, what):
    archive = ATTACKS[what](packed)
    with pytest.raises(ArtifactError, match=r"Take a clean copy|Export it anew|Restore"):
        unpack(archive, tmp_path / "deep" / "back")
    assert [path.name for path in (tmp_path / "deep").iterdir()] == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["attack.tar.gz", "deep"]


@pytest.mark.parametrize("data", [b"", b"no archive", b"\x1f\x8b\x08\x00broken"])
def test_what_is_no_archive_is_refused(tmp_path, data):
    (tmp_path / "a.tar.gz").write_bytes(data)
    with pytest.raises(ArtifactError, match="clean copy"):
        unpack(tmp_path / "a.tar.gz", tmp_path / "back")


def test_a_cut_off_archive_is_refused(original, export, tmp_path):
    out = export(original, tmp_path / "artifact.tar.gz", "tar")
    out.write_bytes(out.read_bytes()[:-100])
    with pytest.raises(ArtifactError):
        unpack(out, tmp_path / "back")
    assert not (tmp_path / "back").exists()


def test_the_original_is_left_as_it_was(original):
    assert verify(original).configurations[0].name == "popularity"
