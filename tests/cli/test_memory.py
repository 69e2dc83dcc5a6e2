"""`recsmith memory` and `study run --memory`: what a user types, and what comes of it."""

from __future__ import annotations

import json

import pytest

STUDY = ("--engine", "inline", "--trials", 3, "--set", "model=[popularity,ease,item_knn]", "--quiet")


@pytest.fixture
def log(tmp_path):
    file = tmp_path / "log.csv"
    rows = [f"u{user},i{(user + step) % 6},{user + 9 * step}" for user in range(12) for step in range(5)]
    file.write_text("\n".join(["user_id,item_id,timestamp", *rows, ""]))
    return file


@pytest.fixture
def memory(tmp_path, monkeypatch):
    """The user's memory, which is empty."""
    folder = tmp_path / "memory"
    monkeypatch.setenv("RECSMITH_MEMORY", str(folder))
    return folder


def test_a_life_of_a_memory(recsmith, log, memory, tmp_path):
    recsmith("study", "run", log, "-o", tmp_path / "one", *STUDY, "--memory")
    assert "Nothing is remembered" in recsmith("study", "show", tmp_path / "one").stdout
    recsmith("study", "run", log, "-o", tmp_path / "two", *STUDY, "--seed", 5, "--memory-dir", memory)
    shown = json.loads(recsmith("study", "show", tmp_path / "two", "--json").stdout)
    assert (shown["memory"]["trials"], shown["trials"][0]["origin"]) == (1, "memory")
    known = json.loads(recsmith("memory", "list", "--json").stdout)
    assert [(study["name"], study["trials"]) for study in known] == [("log", 3), ("log", 3)]
    key = known[0]["key"]
    assert key[:8] in recsmith("memory", "list").stdout
    assert "landmark.item_knn" in recsmith("memory", "show", key[:6]).stdout
    assert json.loads(recsmith("memory", "show", key, "--json").stdout)["split_hash"] == shown["split_hash"]
    assert f"forgotten: log ({key[:8]})" in recsmith("memory", "forget", key).stderr
    assert len(list(memory.iterdir())) == 1
    recsmith("memory", "forget", "--all")
    assert list(memory.iterdir()) == []
    assert (tmp_path / "one" / "study.db").exists()


def test_studies_without_a_memory_are_added_later_all_or_none(recsmith, log, memory, tmp_path):
    recsmith("study", "run", log, "-o", tmp_path / "one", *STUDY)
    assert not memory.exists()
    (tmp_path / "empty").mkdir()
    refused = recsmith("memory", "add", tmp_path / "one", tmp_path / "empty", code=2)
    assert "there is no study here" in refused.stderr
    assert not memory.exists()
    assert "remembered: log" in recsmith("memory", "add", tmp_path / "one").stderr
    recsmith("memory", "add", tmp_path / "one")
    assert len(list(memory.iterdir())) == 1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("memory", "show", "zzz"), "no study is remembered under 'zzz'"),
        (("memory", "forget"), "name studies by their keys"),
        (("memory", "forget", "abc", "--all"), "name studies by their keys"),
    ],
)
def test_a_mistake_is_one_sentence(recsmith, memory, arguments, sentence):
    assert sentence in recsmith(*arguments, code=2).stderr


def test_a_plan_file_names_its_memory_beside_itself(log, memory, tmp_path):
    from recsmith.wiring.plan import load_plan

    for written, expected in (("default", "default"), ("kept", str(tmp_path / "kept"))):
        (tmp_path / "plan.yaml").write_text(f"data: log.csv\nmemory: {written}\n")
        assert load_plan(tmp_path / "plan.yaml").memory == expected
