"""Studies that remember: what is tried first, what is kept, what is told, and that no test row is looked at."""

from __future__ import annotations

import json
import logging

import numpy as np
import pandas as pd
import pytest

from recsmith.contracts.errors import StudyError
from recsmith.evaluation.judge import judge
from recsmith.records.study_store import StudyStore
from recsmith.records.study_view import StudyView
from recsmith.study.frames import find_best
from recsmith.study.landmarks import landmarks, sampled
from recsmith.study.prepare import learn, prepare
from recsmith.study.recall import remember, remembered_folder
from recsmith.study.show import summarise
from recsmith.testing.logs import popular_fold
from recsmith.wiring.plan import load_plan
from recsmith.wiring.plugins import load_plugins

MODELS = ["popularity", "ease", "item_knn", "p3alpha"]
SETTINGS = {"trials": 6, "seed": 3, "engine": {"name": "inline"}, "space": {"model": MODELS}}


def log(users=40, last="i{}"):
    """`users` with 8 interactions each, in a ring of 12 items; the last item of every user is named by `last`."""
    rng = np.random.default_rng(users)
    rows = []
    for user in range(users):
        start = rng.integers(12)
        items = [f"i{(start + step) % 12}" for step in range(8)]
        items[-1] = last.format((start + 7) % 12) if user else items[-1]
        rows += [(f"u{user}", item, 100 * user + step) for step, item in enumerate(items)]
    return pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"])


@pytest.fixture(scope="module")
def studies(tmp_path_factory):
    """Two studies one after the other that share a memory; the second is of another log."""
    folder = tmp_path_factory.mktemp("recall")
    for name, users in (("one", 40), ("other", 60)):
        find_best(log(users), folder / name, **SETTINGS, name=name, memory=str(folder / "memory"))
    return folder


def test_the_first_study_begins_with_the_defaults_in_the_order_of_the_prior(studies):
    rows = StudyView.open(studies / "one").rows()
    assert [(row.origin, row.model) for row in rows[:2]] == [("default", "item_knn"), ("default", "popularity")]
    assert {row.origin for row in rows[2:]} == {"suggested"}
    assert summarise(studies / "one")["memory"]["notes"][0].startswith("Nothing is remembered")


def test_the_next_study_begins_with_the_best_of_the_first_and_says_so(studies):
    best = StudyView.open(studies / "one").best()
    other = StudyView.open(studies / "other")
    first = other.rows()[0]
    assert (first.origin, first.configuration) == ("memory", best.configuration)
    assert [row.place for row in other.rows()] == [0, 1, None, None, None, None]
    assert (
        other.recalled.notes[0]
        == "First trials from the memory: 1; data sets: 1; nearest: one (100%). Then come the defaults."
    )


def test_both_are_remembered_with_every_trial(studies):
    known, faults = StudyStore(studies / "memory").read()
    assert ([study.name for study in known], faults) == (["one", "other"], [])
    for study in known:
        view = StudyView.open(studies / study.name)
        assert [trial.configuration for trial in study.trials] == [row.configuration for row in view.rows()]
        assert [trial.metrics for trial in study.trials] == [row.metrics for row in view.rows()]
        assert study.meta_features == view.recalled.meta_features
        assert {"users", "landmark.popularity", "landmark.item_knn"} <= set(study.meta_features)


def test_no_identifier_is_kept(studies):
    for file in (studies / "memory").glob("*.json"):
        text = file.read_text()
        assert not [name for name in ("u1", "i1", "user_id", str(studies)) if f'"{name}"' in text]
        numbers = json.loads(text)["meta_features"].values()
        assert all(isinstance(number, float) for number in numbers)


def test_the_same_command_again_recalls_nothing_anew_and_keeps_one_record(studies):
    before = StudyView.open(studies / "one").recalled
    find_best(log(40), studies / "one", **SETTINGS, name="one", memory=str(studies / "memory"))
    assert StudyView.open(studies / "one").recalled == before
    assert len(StudyStore(studies / "memory").read()[0]) == 2


def test_what_is_recalled_does_not_depend_on_the_test_rows(studies, tmp_path):
    for name in ("seen", "unseen"):
        frame = log(50, "i{}" if name == "seen" else "n{}")
        find_best(frame, tmp_path / name, **SETTINGS, name=name, memory=str(tmp_path / f"memory-{name}"))
    one, other = (StudyView.open(tmp_path / name).recalled for name in ("seen", "unseen"))
    assert one == other


def test_models_outside_the_space_are_skipped_with_a_sentence(studies, tmp_path):
    settings = {**SETTINGS, "space": {"model": ["popularity", "ials"]}, "trials": 3}
    find_best(log(45), tmp_path / "study", **settings, memory=str(studies / "memory"))
    notes = StudyView.open(tmp_path / "study").recalled.notes
    assert any(": model: 'item_knn' is not in this search space." in note for note in notes)


def test_a_study_of_another_scenario_is_left_aside(studies, tmp_path):
    frame = log(45).assign(rating=3.0)
    frame.loc[::2, "rating"] = 4.0
    settings = {**SETTINGS, "space": {"model": ["bias"]}, "trials": 1, "scenario": "rating"}
    find_best(frame, tmp_path / "study", **settings, memory=str(studies / "memory"))
    recalled = StudyView.open(tmp_path / "study").recalled
    assert [first.origin for first in recalled.first] == ["default"]
    assert any("Studies of another scenario, or that do not know mae: " in note for note in recalled.notes)


def test_a_study_without_memory_reads_and_writes_none_and_can_be_added_later(tmp_path, monkeypatch):
    monkeypatch.setenv("RECSMITH_MEMORY", str(tmp_path / "memory"))
    source = tmp_path / "log.csv"
    log().to_csv(source, index=False)
    changes = {"budget.trials": 3, "engine.name": "inline", "space": {"model": MODELS}}
    import recsmith

    recsmith.run_study(load_plan(source, changes), tmp_path / "study")
    assert not (tmp_path / "memory").exists()
    added = remembered_folder(tmp_path / "study")
    assert len(added.trials) == 3
    assert "landmark.gain" in added.meta_features
    log(41).to_csv(source, index=False)
    with pytest.raises(StudyError, match=r"log.csv has changed since"):
        remembered_folder(tmp_path / "study")


def test_a_table_in_memory_that_was_not_remembered_cannot_be_added(tmp_path):
    find_best(log(), tmp_path / "study", **{**SETTINGS, "trials": 1})
    with pytest.raises(StudyError, match="its log was a table in memory that is gone"):
        remembered_folder(tmp_path / "study")


def test_a_memory_that_cannot_be_written_is_refused_before_anything_is_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StudyError, match="the memory cannot be written"):
        find_best(log(), tmp_path / "study", **SETTINGS, memory=str(tmp_path / "file"))
    assert not (tmp_path / "study").exists()


def test_a_study_that_has_ended_stays_whole_where_the_memory_fails(studies, tmp_path, caplog):
    (tmp_path / "file").touch()
    with caplog.at_level(logging.WARNING):
        remember(StudyStore(tmp_path / "file"), StudyView.open(studies / "one"))
    assert "recsmith memory add" in caplog.text


def test_landmarks_of_a_small_log_are_the_figures_of_the_models_themselves():
    registry, fold, plan = load_plugins().registry, popular_fold(), load_plan("any")
    found = landmarks(fold, plan, registry)
    from recsmith.contracts.config import Choice

    for name in ("popularity", "item_knn"):
        prepared = prepare(Choice(name=name), fold, registry, seed=0)
        for _ in learn(prepared, fold.train):
            pass
        figure = judge(prepared.serving, fold, ["ndcg@10"], registry).figures["ndcg@10"]
        assert found[f"landmark.{name}"] == pytest.approx(figure, abs=1e-6)


def test_a_sample_keeps_the_histories_and_targets_of_those_it_judges():
    fold = popular_fold(users=100)
    part = sampled(fold, 1, learnt=30, judged=20)
    assert (part.train.users, len(part.holdout), part.train.items) == (30, 20, fold.train.items)
    number = {user: place for place, user in enumerate(fold.user_ids.tolist())}
    for row, user in enumerate(part.holdout.requests.user_num.tolist()):
        old = number[part.user_ids[user]]
        request = fold.holdout.requests.user_num.tolist().index(old)
        assert part.train.histories.of(user).tolist() == fold.train.histories.of(old).tolist()
        assert part.holdout.requests.histories.of(row).tolist() == part.train.histories.of(user).tolist()
        span = slice(*fold.holdout.target_indptr[request : request + 2])
        own = slice(*part.holdout.target_indptr[row : row + 2])
        assert part.holdout.target_item[own].tolist() == fold.holdout.target_item[span].tolist()
