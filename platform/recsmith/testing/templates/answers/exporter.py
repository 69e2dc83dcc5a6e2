"""Known answers."""

import zipfile
from pathlib import Path

import numpy as np

from recsmith.artifacts.save import ArtifactFacts, Member, save_artifact
from recsmith.contracts.config import Choice
from recsmith.contracts.data import State
from recsmith.testing.logs import popular_fold
from recsmith.testing.templates.exporter import MyName, MyNameConfig
from recsmith.wiring.plugins import load_plugins


def test_the_archive_holds_the_artifact_byte_for_byte(tmp_path: Path) -> None:
    fold = popular_fold(users=30)
    facts = ArtifactFacts(study="s", objective="ndcg@10", metrics={}, split="s", split_hash="0", data_fingerprint="1")
    member = Member(Choice(name="popularity"), State(arrays={"counts": fold.train.counts.astype(np.float32)}))
    registry = load_plugins(only=["model.popularity"]).registry
    artifact = save_artifact(tmp_path / "artifact", [member], fold, registry, facts=facts)
    written = MyName(MyNameConfig()).export(artifact, tmp_path / "artifact.zip")
    with zipfile.ZipFile(written) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    files = [path for path in artifact.rglob("*") if path.is_file()]
    assert content == {path.relative_to(tmp_path).as_posix(): path.read_bytes() for path in files}
