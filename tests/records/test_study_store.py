"""The memory on disk: whole files, two writers at once, faults told by name, nothing forgotten but on request."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from recsmith.contracts.config import Choice
from recsmith.contracts.errors import StudyError
from recsmith.records.study_store import RememberedStudy, RememberedTrial, StudyStore, usual_folder

WRITER = """
import sys
from pathlib import Path
from recsmith.records.study_store import RememberedStudy, StudyStore
store = StudyStore(Path(sys.argv[1]))
known = RememberedStudy.model_validate_json(sys.argv[2])
for number in range(40):
    store.add(known.model_copy(update={"key": f"{sys.argv[3]}{number}"}))
    store.add(known.model_copy(update={"key": "shared", "name": sys.argv[3]}))
"""


def study(key="abc123", **facts):
    trials = (
        RememberedTrial(configuration=Choice(name="ease", params={"l2": 500.0}), state="complete", seconds=0.5,
                        metrics={"ndcg@10": 0.1}),
        RememberedTrial(configuration=Choice(name="ials"), state="failed", seconds=0.1),
        RememberedTrial(configuration=Choice(name="popularity"), state="complete", seconds=0.2,
                        metrics={"ndcg@10": 0.3}),
    )  # fmt: skip
    known = {
        "name": "shop",
        "added": "2026-01-01T00:00:00+00:00",
        "scenario": "next_item",
        "objective": "ndcg@10",
        "direction": "maximize",
        "mask_seen": True,
        "split_hash": "s",
        "meta_features": {"users": 2.0},
        "trials": trials,
    }
    return RememberedStudy(key=key, **{**known, **facts})


def test_what_was_added_is_read_again_and_added_again_takes_its_own_place(tmp_path):
    store = StudyStore(tmp_path / "memory")
    assert store.read() == ([], [])
    store.prepare()
    store.add(study())
    store.add(study("b", added="2025-01-01T00:00:00+00:00"))
    store.add(study(name="renamed"))
    studies, faults = store.read()
    assert ([(one.key, one.name) for one in studies], faults) == ([("b", "shop"), ("abc123", "renamed")], [])
    assert studies[1] == study(name="renamed")


def test_trials_are_ranked_by_the_objective_and_those_without_it_come_last():
    assert [trial.configuration.name for trial in study().ranked()] == ["popularity", "ease", "ials"]
    turned = study(direction="minimize").ranked()
    assert [trial.configuration.name for trial in turned] == ["ease", "popularity", "ials"]


def test_two_processes_may_add_at_once(tmp_path):
    facts = study().model_dump_json()
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), facts, name]) for name in ("a", "b")]
    store = StudyStore(tmp_path)
    while any(writer.poll() is None for writer in writers):
        assert store.read()[1] == []  # nobody ever sees half a file
    assert [writer.returncode for writer in writers] == [0, 0]
    studies, faults = store.read()
    assert (len(studies), faults) == (81, [])
    assert list(tmp_path.glob(".*")) == []


def test_a_file_that_cannot_be_used_is_named_and_the_others_are_read(tmp_path):
    store = StudyStore(tmp_path)
    store.add(study())
    (tmp_path / "torn.json").write_text('{"version": 1, "na')
    (tmp_path / "newer.json").write_text(json.dumps({"version": 99, "colour": "red"}))
    (tmp_path / "list.json").write_text("[]")
    (tmp_path / "copied.json").write_text(study().model_dump_json())
    studies, faults = store.read()
    assert [one.key for one in studies] == ["abc123"]
    told = {fault.path.stem: fault.reason for fault in faults}
    assert set(told) == {"torn", "newer", "list", "copied"}
    assert "newer recsmith (version 99" in told["newer"]
    assert "under another name" in told["copied"]


def test_a_study_is_found_by_the_beginning_of_its_key(tmp_path):
    store = StudyStore(tmp_path)
    for key in ("abc123", "abd456"):
        store.add(study(key))
    assert store.find("abc").key == "abc123"
    with pytest.raises(StudyError, match=r"more than one study is remembered under 'ab'. Known: abc123, abd456"):
        store.find("ab")
    with pytest.raises(StudyError, match=r"no study is remembered under 'x'. Known: abc123, abd456"):
        store.find("x")


def test_forgetting_deletes_the_file_and_may_be_repeated(tmp_path):
    store = StudyStore(tmp_path)
    store.add(study())
    store.forget([study()])
    store.forget([study()])
    assert list(tmp_path.iterdir()) == []


def test_the_folder_is_the_named_one_or_where_the_platform_keeps_data(tmp_path, monkeypatch):
    monkeypatch.setenv("RECSMITH_MEMORY", str(tmp_path / "mine"))
    assert usual_folder() == tmp_path / "mine"
    assert StudyStore.at("default").folder == StudyStore.at(None).folder == tmp_path / "mine"
    assert StudyStore.at(tmp_path / "other").folder == tmp_path / "other"
    monkeypatch.delenv("RECSMITH_MEMORY")
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert usual_folder() == tmp_path / "recsmith" / "memory"
    monkeypatch.setenv("XDG_DATA_HOME", "relative")
    assert usual_folder() == Path.home() / ".local" / "share" / "recsmith" / "memory"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(StudyError, match="the memory cannot be written"):
        StudyStore(tmp_path / "memory").prepare()


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StudyError, match="the memory cannot be written"):
        StudyStore(tmp_path / "file").prepare()
