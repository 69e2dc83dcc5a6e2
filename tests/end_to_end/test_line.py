"""The whole line as a user walks it: a log, a study, a verified artifact, recommendations."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest

from recsmith.testing.demo import demo_log

ROOT = Path(__file__).parents[2]


def recsmith(*arguments, code=0) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", "from recsmith.cli.main import main; main()", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    return done


@pytest.fixture(scope="module")
def log(tmp_path_factory) -> Path:
    return demo_log(tmp_path_factory.mktemp("shop"), seed=1)


@pytest.fixture(scope="module")
def study(log, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("study") / "study"
    recsmith(
        "study",
        "run",
        log,
        "-o",
        folder,
        "--engine",
        "inline",
        "--space",
        "quick",
        "--trials",
        8,
        "--seed",
        1,
        "--quiet",
    )
    return folder


def test_a_finished_study_shows_its_trials_its_test_figures_and_its_artifact(study):
    shown = json.loads(recsmith("study", "show", study, "--json").stdout)
    assert (shown["state"], shown["artifact"]) == ("finished", str(study / "artifact"))
    counts = shown["counts"]
    assert counts["complete"] + counts["pruned"] + counts["failed"] == 8
    assert (counts["failed"], counts["running"], counts["waiting"], counts["retried"]) == (0, 0, 0, 0)
    assert len(shown["split_hash"]) == 64
    figure = shown["test"]["ndcg@10"]
    assert figure["low"] <= figure["value"] <= figure["high"]
    assert {"number", "state", "model", "params", "metrics", "seconds"} <= set(shown["trials"][0])


def test_ended_trials_keep_their_history_and_free_their_checkpoints(study):
    assert len(list(study.glob("trials/*/history.jsonl"))) == 8
    assert list(study.glob("trials/*/checkpoint.safetensors")) == []


def test_the_artifact_verifies(study):
    assert "verified" in recsmith("verify", study / "artifact").stdout


def test_recommendations_score_as_the_study_reported(study, log, tmp_path):
    """The scoring script shares no code with the package."""
    file = tmp_path / "recommendations.csv"
    file.write_text(recsmith("recommend", study / "artifact", "--all-users", "-k", 10, "--format", "csv").stdout)
    script = [sys.executable, ROOT / "benchmarks/score_last_interaction.py", log / "interactions.csv", file]
    scored = json.loads(subprocess.run(script, capture_output=True, text=True, check=True).stdout)
    shown = json.loads(recsmith("study", "show", study, "--json").stdout)
    assert scored["ndcg@10"] == pytest.approx(shown["test"]["ndcg@10"]["value"], abs=1e-6)
    assert scored["hit_rate@10"] == pytest.approx(shown["test"]["hit_rate@10"]["value"], abs=1e-6)


def test_the_csv_has_the_fixed_header_and_no_seen_item(study, log):
    lines = list(csv.DictReader(recsmith("recommend", study / "artifact", "--format", "csv").stdout.splitlines()))
    assert list(lines[0]) == ["user_id", "item_id", "rank", "score"]
    user = lines[0]["user_id"]
    with (log / "interactions.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["user_id"] == user]
    rows.sort(key=lambda row: int(row["timestamp"]))
    seen = {row["item_id"] for row in rows[:-1]}  # the last one is the test target
    assert not seen & {line["item_id"] for line in lines if line["user_id"] == user}


def test_a_history_serves_a_user_never_seen(study, log):
    with (log / "items.csv").open() as file:
        first = next(csv.DictReader(file))["item_id"]
    answer = json.loads(
        recsmith("recommend", study / "artifact", "--history", first, "-k", 5, "--format", "json").stdout
    )
    assert len(answer[0]["items"]) == 5
    assert first not in {item["item_id"] for item in answer[0]["items"]}


def test_an_unknown_user_gets_the_fallback_and_is_told_so(study):
    done = recsmith("recommend", study / "artifact", "--user", "nobody", "--format", "json")
    assert json.loads(done.stdout)[0]["source"] == "popularity"
    assert "nobody" in done.stderr


def test_the_same_command_again_changes_nothing(study, log):
    before = (study / "result.json").read_bytes()
    recsmith(
        "study",
        "run",
        log,
        "-o",
        study,
        "--engine",
        "inline",
        "--space",
        "quick",
        "--trials",
        8,
        "--seed",
        1,
        "--quiet",
    )
    assert (study / "result.json").read_bytes() == before


def test_another_plan_on_the_folder_is_refused(study, log):
    done = recsmith("study", "run", log, "-o", study, "--space", "quick", "--seed", 2, code=2)
    assert "seed (was 1, now 2)" in done.stderr
    assert "Traceback" not in done.stderr


def test_export_for_production_says_when_the_figure_was_measured(study, tmp_path):
    recsmith("export", study, "-o", tmp_path / "production", "--refit", "all")
    manifest = json.loads((tmp_path / "production/manifest.json").read_text())
    assert manifest["facts"]["refit"] == "all"
    assert "before" in manifest["note"]
    recsmith("verify", tmp_path / "production")
    assert "exists already" in recsmith("export", study, "-o", tmp_path / "production", code=2).stderr


def test_a_mistake_ends_with_2_one_sentence_and_nothing_written(tmp_path):
    done = recsmith("study", "run", tmp_path / "none.csv", "-o", tmp_path / "study", code=2)
    assert "none.csv" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "study").exists()
