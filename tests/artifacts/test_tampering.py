"""Every changed artifact is refused with a sentence that names the file and the remedy, and nothing in it ever runs."""

import json
import os
import pickle
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import safetensors.numpy

from recsmith.artifacts.load import load_artifact, verify
from recsmith.contracts.errors import ArtifactError

MEMBER = "members/0"
WEIGHTS = f"{MEMBER}/weights.safetensors"


def flip(name, place=-1):
    def change(folder, _reseal):
        content = bytearray((folder / name).read_bytes())
        content[place] ^= 1
        (folder / name).write_bytes(content)

    return change


def append(folder, _reseal):
    (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes() + b"x")


def rewrite(name, content):
    def change(folder, reseal):
        (folder / name).write_bytes(content)
        reseal(folder)

    return change


def edit(name, **values):
    """Change keys of a JSON file, with intent."""

    def change(folder, reseal):
        (folder / name).write_text(json.dumps({**json.loads((folder / name).read_text()), **values}))
        reseal(folder)

    return change


def claim(**values):
    """Change the manifest, with intent."""
    return lambda folder, reseal: reseal(folder, **values)


def plant(name, content=b""):
    def change(folder, _reseal):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)

    return change


def list_also(name):
    """List a file under a path that no artifact has, with intent."""

    def change(folder, reseal):
        files = json.loads((folder / "manifest.json").read_text())["files"]
        reseal(folder, files={**files, name: {"size": 0, "sha256": "0" * 64}})

    return change


def drop(name):
    return lambda folder, _reseal: (folder / name).unlink()


def drop_listed(name):
    def change(folder, reseal):
        (folder / name).unlink()
        reseal(folder)

    return change


def link(name, target):
    def change(folder, _reseal):
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(target)

    return change


def link_folder(folder, _reseal):
    (folder / "catalog").rename(folder.parent / "elsewhere")
    (folder / "catalog").symlink_to(folder.parent / "elsewhere")


def pipe(folder, _reseal):
    os.mkfifo(folder / "pipe")


def empty_folder(folder, _reseal):
    (folder / "plugins").mkdir()


def weights(change):
    def changed(folder, reseal):
        arrays = safetensors.numpy.load_file(folder / WEIGHTS)
        safetensors.numpy.save_file(change(arrays), folder / WEIGHTS)
        reseal(folder)

    return changed


def poisoned(arrays, value):
    broken = arrays["weights"].copy()
    broken[0, 1] = value
    return {"weights": broken}


def table(name, change):
    def changed(folder, reseal):
        path = folder / "catalog" / name
        pq.write_table(change(pq.read_table(path)), path)
        reseal(folder)

    return changed


def swap_ids(items):
    return items.set_column(0, "item_id", pa.array(items.column(0).to_pylist()[::-1]))


def far_items(histories):
    lists = [[item + 1000 for item in row] for row in histories.column("item_num").to_pylist()]
    return histories.set_column(0, "item_num", pa.array(lists, pa.large_list(pa.int32())))


def no_lists(histories):
    return histories.set_column(0, "item_num", pa.array([None] * len(histories), pa.large_list(pa.int32())))


def one_id_twice(users):
    return users.set_column(0, "user_id", pa.array(["same"] * len(users)))


def other_answers(folder, reseal):
    golden = json.loads((folder / "golden.json").read_text())
    golden["requests"][3]["items"][0:2] = golden["requests"][3]["items"][1::-1]
    (folder / "golden.json").write_text(json.dumps(golden))
    reseal(folder)


def other_scores(folder, reseal):
    golden = json.loads((folder / "golden.json").read_text())
    golden["requests"][0]["scores"][0] *= 1.001
    (folder / "golden.json").write_text(json.dumps(golden))
    reseal(folder)


def bomb(folder, reseal):
    """Some kilobytes that would take some eighty megabytes."""
    lists = pa.array([["x" * 2**20]] * 80)
    pq.write_table(pa.table({"user_id": [f"u{n}" for n in range(80)], "bomb": lists}), folder / "catalog/users.parquet",
                   compression="zstd", use_dictionary=False)  # fmt: skip
    reseal(folder)


USE = {"entry_point": "model.ease", "distribution": "recsmith", "version": "0.1.0"}

# What is done, what the sentence must name, and its remedy.
TAMPERED = {
    "a byte of the weights": (flip(WEIGHTS), WEIGHTS, "Restore"),
    "a byte of the weights' header": (flip(WEIGHTS, 10), WEIGHTS, "Restore"),
    "a byte of the histories": (flip("catalog/histories.parquet", 50), "histories.parquet", "Restore"),
    "a byte of the card": (flip("README.md", 3), "README.md", "Restore"),
    "a byte of the golden requests": (flip("golden.json", 40), "golden.json", "Restore"),
    "a digit of the manifest": (flip("manifest.json", 60), "manifest.json", "Restore"),
    "bytes appended": (append, WEIGHTS, "Restore"),
    "manifest missing": (drop("manifest.json"), "manifest.json", "Restore"),
    "weights missing": (drop(WEIGHTS), WEIGHTS, "Restore"),
    "weights missing and unlisted": (drop_listed(WEIGHTS), WEIGHTS, "Restore"),
    "card missing and unlisted": (drop_listed("README.md"), "README.md", "Restore"),
    "manifest is no JSON": (plant("manifest.json", b"{"), "manifest.json", "Restore"),
    "manifest is no object": (plant("manifest.json", b"[]"), "manifest.json", "Restore"),
    "manifest nested without end": (plant("manifest.json", b"[" * 100_000), "manifest.json", "Restore"),
    "manifest with a key twice": (plant("manifest.json", b'{"a": 1, "a": 2}'), "manifest.json", "Restore"),
    "manifest is a link": (link("manifest.json", "README.md"), "manifest.json", "Restore"),
    "newer schema": (claim(schema_version=2), "manifest.json", "Upgrade recsmith"),
    "schema of no number": (claim(schema_version="1"), "manifest.json", "Restore"),
    "an unknown field": (claim(run="rm"), "manifest.json", "Restore"),
    "absurd number of users": (claim(users=2**62), "manifest.json", "Restore"),
    "negative number of items": (claim(items=-1), "manifest.json", "Restore"),
    "more users than there are": (claim(users=81), "users.parquet", "Restore"),
    "more interactions than there are": (claim(interactions=641), "histories.parquet", "Restore"),
    "absurd size of a file": (
        claim(files={"README.md": {"size": 2**60, "sha256": "0" * 64}}),
        "manifest.json",
        "Restore",
    ),
    "a path outside": (list_also("../outside.json"), "manifest.json", "Restore"),
    "an absolute path": (list_also("/etc/passwd"), "manifest.json", "Restore"),
    "a path through a column": (list_also("members/0/encoders/items/../config.json"), "manifest.json", "Restore"),
    "a listed program": (list_also("members/0/model.py"), "manifest.json", "Restore"),
    "an unlisted program": (plant("members/0/model.py"), "model.py", "Remove"),
    "an unlisted hidden file": (plant(".hidden"), ".hidden", "Remove"),
    "an unlisted member": (plant("members/1/config.json"), "members/1/config.json", "Remove"),
    "an empty folder": (empty_folder, "plugins", "Remove"),
    "a link to a file": (link(WEIGHTS, "/etc/hostname"), WEIGHTS, "Remove"),
    "a link to a folder": (link_folder, "catalog", "Remove"),
    "a dangling link": (link("catalog/more", "nowhere"), "catalog/more", "Remove"),
    "a pipe": (pipe, "pipe", "Remove"),
    "pickled weights": (rewrite(WEIGHTS, pickle.dumps({"weights": [1.0]})), WEIGHTS, "Restore"),
    "empty weights": (rewrite(WEIGHTS, b""), WEIGHTS, "Restore"),
    "weights with an absurd header": (rewrite(WEIGHTS, b"\xff" * 8 + b"{}"), WEIGHTS, "Restore"),
    "NaN among the weights": (weights(lambda arrays: poisoned(arrays, np.nan)), WEIGHTS, "Restore"),
    "infinity among the weights": (weights(lambda arrays: poisoned(arrays, np.inf)), WEIGHTS, "Restore"),
    "no such weights": (weights(lambda _: {"other": np.zeros(3, np.float32)}), "ease", "train anew"),
    "weights of another shape": (
        weights(lambda _: {"weights": np.zeros((3, 3), np.float32)}),
        "golden.json",
        "train anew",
    ),
    "other weights": (weights(lambda arrays: {"weights": -arrays["weights"]}), "golden.json", "train anew"),
    "NaN in JSON": (rewrite("members/0/config.json", b'{"values": {"a": NaN}}'), "config.json", "Restore"),
    "another configuration": (
        edit("members/0/config.json", configuration={"name": "os.system"}),
        "config.json",
        "Restore",
    ),
    "no combiner's name": (edit("combination.json", combiner=3), "combination.json", "Restore"),
    "absurd depth": (edit("combination.json", depth=10**9), "combination.json", "Restore"),
    "identifiers in another order": (table("items.parquet", swap_ids), "golden.json", "train anew"),
    "an identifier twice": (table("users.parquet", one_id_twice), "users.parquet", "Restore"),
    "items that are none": (table("histories.parquet", far_items), "histories.parquet", "Restore"),
    "histories that are none": (table("histories.parquet", no_lists), "histories.parquet", "Restore"),
    "a table that is none": (rewrite("catalog/items.parquet", b"PAR1PAR1"), "items.parquet", "Restore"),
    "a table that expands": (bomb, "users.parquet", "Restore"),
    "another golden answer": (other_answers, "golden.json", "train anew"),
    "another golden score": (other_scores, "golden.json", "train anew"),
    "a plugin that is not installed": (
        claim(plugins=[{**USE, "entry_point": "model.none"}]),
        "model.none",
        "pip install",
    ),
    "a plugin of another distribution": (claim(plugins=[{**USE, "distribution": "rival"}]), "model.ease", "uninstall"),
    "a plugin of another major version": (claim(plugins=[{**USE, "version": "7.0"}]), "model.ease", "pip install"),
    "a plugin registered by hand": (claim(plugins=[{**USE, "distribution": ""}]), "model.ease", "registry"),
    "no plugin at all": (claim(plugins=[]), "ease", "not among the plugins that were asked for"),
}


@pytest.mark.parametrize("what", TAMPERED)
def test_a_tampered_artifact_is_refused(artifact, reseal, what):
    change, named, remedy = TAMPERED[what]
    change(artifact, reseal)
    with pytest.raises(ArtifactError) as refusal:
        load_artifact(artifact)
    assert named in str(refusal.value)
    assert remedy in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_copy_and_a_resealed_copy_are_accepted(artifact, reseal):
    assert verify(artifact).users == 80
    reseal(artifact)
    assert load_artifact(artifact).manifest.users == 80


def test_no_folder_is_refused(tmp_path):
    with pytest.raises(ArtifactError, match="is no folder"):
        verify(tmp_path / "none")
    (tmp_path / ".none.old").mkdir()
    with pytest.raises(ArtifactError, match="A save was cut off: rename"):
        verify(tmp_path / "none")


PLANTED = ("code.py", "__init__.py", "sitecustomize.py", "conftest.py", "evil.pth", "members/__init__.py",
           "members/0/ease.py", "recsmith_plugins.py", "recsmith.py", "numpy.py", "catalog/__init__.py")  # fmt: skip


def test_planted_code_never_runs(artifact, reseal):
    proof = artifact.parent / "it_ran"
    attack = f"import pathlib; pathlib.Path({str(proof)!r}).touch()\n"
    for name in PLANTED:
        (artifact / name).write_text(attack)
    reseal(artifact)
    program = "import sys\nfrom recsmith.artifacts.load import load_artifact\nload_artifact(sys.argv[1])"
    outside = artifact.parent / "cwd"
    outside.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", program, str(artifact)], cwd=outside, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "ArtifactError" in done.stderr
    assert not proof.exists()


def test_a_planted_pickle_never_runs(artifact, reseal):
    proof = artifact.parent / "it_ran"
    (artifact / WEIGHTS).write_bytes(pickle.dumps(Attack(str(proof))))
    (artifact / "golden.json").write_bytes(pickle.dumps(Attack(str(proof))))
    reseal(artifact)
    with pytest.raises(ArtifactError):
        load_artifact(artifact)
    assert not proof.exists()


class Attack:
    """Touches a file when it is unpickled."""

    def __init__(self, proof):
        self.proof = proof

    def __reduce__(self):
        return open, (self.proof, "w")


def test_the_planted_pickle_is_a_real_one(tmp_path):
    pickle.loads(pickle.dumps(Attack(str(tmp_path / "it_ran")))).close()  # noqa: S301 - our own
    assert (tmp_path / "it_ran").exists()
