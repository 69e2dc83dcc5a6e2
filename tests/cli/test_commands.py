"""Commands that need no study: what they print, how they refuse, and that looking is quick."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest


@pytest.fixture
def log(tmp_path):
    file = tmp_path / "log.csv"
    rows = [f"u{user},i{(user + step) % 6},{user + 9 * step}" for user in range(5) for step in range(4)]
    file.write_text("\n".join(["user_id,item_id,timestamp", *rows, ""]))
    return file


def test_help_and_the_package_load_nothing_heavy(recsmith):
    heavy = (
        "import sys, recsmith.cli.main; print([m for m in ('torch', 'ray', 'optuna', 'pandas') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", heavy], capture_output=True, text=True, check=True).stdout == "[]\n"
    assert "study" in recsmith("--help").stdout


def test_data_check_tells_what_was_found(recsmith, log):
    report = json.loads(recsmith("data", "check", log, "--json").stdout)
    assert (report["users"], report["items"], report["interactions"], report["ordered"]) == (5, 6, 20, True)
    assert "20" in recsmith("data", "check", log).stdout


def test_data_check_shows_every_column_with_its_role_and_every_warning(recsmith, tmp_path):
    (tmp_path / "interactions.csv").write_text(
        "user_id,item_id,timestamp\nu1,i1,5\nu1,i2,5\nu1,i3,5\nu2,i1,5\nu2,i2,5\nu2,i3,5\n"
    )
    (tmp_path / "items.csv").write_text("item_id,genre\ni1,a|b\ni2,b\ni3,a\n")
    told = recsmith("data", "check", tmp_path)
    assert ["items", "genre"] in [line.split()[:2] for line in told.stdout.splitlines()]
    assert "warning: all timestamps are equal" in told.stderr


def test_a_long_list_of_columns_is_cut_in_a_sentence(recsmith, tmp_path):
    wide = tmp_path / "wide.csv"
    wide.write_text(",".join(f"c{number}" for number in range(666)) + "\n" + "1," * 665 + "1\n")
    sentence = recsmith("data", "check", wide, code=2).stderr
    assert "'c19' and 646 more. Say which it is: `data.columns.user`" in sentence


def test_a_file_where_the_study_should_go_is_one_sentence(recsmith, log, tmp_path):
    taken = tmp_path / "taken"
    taken.write_text("mine")
    done = recsmith("study", "run", log, "-o", taken, "--engine", "inline", "--quiet", code=2)
    assert "taken: no folder can be made here (File exists). Give another one." in done.stderr
    assert taken.read_text() == "mine"


def test_plugins_list_names_every_plugin(recsmith):
    listed = json.loads(recsmith("plugins", "list", "--json").stdout)
    assert {"model.sasrec", "metric.ndcg"} <= {plugin["name"] for plugin in listed}
    assert {plugin["state"] for plugin in listed} == {"active"}


def test_spaces_show_draws_conditions_and_check_refuses_unknown_names(recsmith, log, tmp_path):
    drawn = recsmith("spaces", "show", "quick", "--data", log)
    assert "if gbce" in drawn.stdout
    assert "left out: model.bias" in drawn.stderr
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("model.eese.l2: 3\n")
    assert (
        "wrong.yaml:1: model: no parameter 'eese'. Did you mean 'ease'?"
        in recsmith("spaces", "check", wrong, code=2).stderr
    )
    assert "models" in recsmith("spaces", "check", "thorough").stdout


@pytest.mark.parametrize("space", ["default", "quick", "thorough", "cold_start"])
def test_every_space_that_travels_with_the_package_is_sound(recsmith, space):
    recsmith("spaces", "check", space)


def test_doctor_tells_versions_and_plugins(recsmith):
    report = json.loads(recsmith("doctor", "--json").stdout)
    assert report["python"].startswith("3.")
    assert report["plugins"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["study", "show", "nowhere"], "there is no study here"),
        (["study", "resume", "nowhere"], "there is no study here"),
        (["verify", "nowhere"], "nowhere: is no folder"),
        (["recommend", "nowhere", "--all-users", "--user", "a"], "only one of --user, --all-users and --history"),
        (["export", "nowhere", "-o", "x"], "there is no study here"),
        (["spaces", "show", "defualt"], "Did you mean 'default'?"),
        (["data", "check", "nowhere.csv"], "nowhere.csv: there is no such file"),
        (["study", "run", "nowhere.csv", "--set", "model"], "write it as name=value"),
        (["study", "run", "nowhere.yaml"], "nowhere.yaml: there is no such file"),
        (["study", "run", "nowhere.csv", "--time", "soon"], "'soon' is no duration"),
        (["study", "run", "nowhere.csv", "--scenario", "streamed"], "no value 'streamed'"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_2(recsmith, arguments, sentence, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = recsmith(*arguments, code=2)
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []
