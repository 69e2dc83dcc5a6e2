import os
import signal
import time

import pytest
from toy_search import open_record, run_search, sends

from recsmith.contracts.errors import StudyError
from recsmith.search.searcher import Listener


def facts(view):
    return [(row.number, row.state, row.params, row.value) for row in view.rows()]


def test_the_budget_is_met_exactly_and_a_resume_adds_only_what_is_missing(tmp_path):
    ending, view = run_search(tmp_path, trials=7)
    assert ending == "trials"
    assert view.finished() == 7
    assert run_search(tmp_path, trials=7)[1].finished() == 7
    _, view = run_search(tmp_path, trials=9)
    assert view.finished() == len(view.rows()) == 9


def test_the_same_seed_gives_the_same_trials_also_through_a_resume(tmp_path):
    whole = facts(run_search(tmp_path / "whole", trials=16)[1])
    run_search(tmp_path / "parts", trials=6)
    assert facts(run_search(tmp_path / "parts", trials=16)[1]) == whole
    assert facts(run_search(tmp_path / "again", trials=16)[1]) == whole
    assert len({str(params) for _, _, params, _ in whole}) == 16


def test_defaults_come_first_the_cheapest_family_before_the_others(tmp_path):
    rows = run_search(tmp_path, trials=6)[1].rows()
    assert [(row.model, row.origin) for row in rows[:2]] == [("flat", "default"), ("net", "default")]
    assert {row.origin for row in rows[2:]} == {"suggested"}


def test_defaults_take_a_third_of_the_budget_at_most_and_the_rest_follow_when_it_grows(tmp_path):
    rows = run_search(tmp_path, trials=3)[1].rows()
    assert [row.origin for row in rows] == ["default", "suggested", "suggested"]
    rows = run_search(tmp_path, trials=6)[1].rows()
    assert [row.model for row in rows if row.origin == "default"] == ["flat", "net"]


def test_every_kind_of_trouble_is_recorded_and_the_study_goes_on(tmp_path):
    trouble = {1: "raise", 2: "nan", 3: "memory", 4: "nan value"}
    _, view = run_search(tmp_path, trials=8, shared={"trouble": trouble})
    rows = view.rows()
    assert [row.state for row in rows[1:5]] == ["failed", "pruned", "pruned", "pruned"]
    assert rows[1].reason == "ValueError: a plugin's mistake"
    assert "misbehave" in rows[1].traceback
    assert rows[2].reason == "the loss is NaN in epoch 1"
    assert rows[3].reason == "out of memory (MemoryError: 40 GB)"
    assert rows[4].reason == "ndcg@10 is nan"
    assert view.finished() == 8
    assert view.counts()["running"] == view.counts()["waiting"] == 0
    assert view.best().state == "complete"
    infeasible = [trial.number for trial in view._study.trials if trial.constraints]
    assert infeasible == [2, 3, 4]


def test_successive_halving_ends_bad_networks_and_no_closed_form_model(tmp_path):
    quality = {root: 0.1 if root > 8 else 0.9 for root in range(30)}
    _, view = run_search(tmp_path, trials=24, shared={"quality": quality})
    late = [row for row in view.rows() if row.root > 8]
    assert {row.state for row in late if row.model == "net"} == {"pruned"}
    assert {row.state for row in late if row.model == "flat"} == {"complete"}
    assert all(len(view.result(row.root).history) == 3 for row in late if row.model == "net")


def test_the_search_finds_the_best_region(tmp_path):
    _, view = run_search(tmp_path, trials=40)
    assert view.best().model == "net"
    assert view.best().value > 0.85


def test_time_ends_the_search_and_the_unfinished_trial_goes_on_in_the_next(tmp_path):
    ending, view = run_search(tmp_path, seconds=3.0, shared={"pause": 0.6})
    assert ending == "time"
    assert 3.0 <= view.seconds < 10
    counts = view.counts()
    assert (counts["running"], counts["waiting"], counts["retried"]) == (0, 1, 1)
    _, view = run_search(tmp_path, trials=4)
    roots = [row.root for row in view.rows() if row.state in {"complete", "pruned"}]
    assert len(roots) == len(set(roots)) == view.finished() == 4
    assert view.counts()["waiting"] == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_search_in_order(tmp_path, number):
    before = signal.getsignal(number)
    ending, view = run_search(tmp_path, trials=10_000, shared={"pause": 0.02}, listener=sends(number))
    assert ending == "interrupted"
    assert view.counts()["running"] == 0
    assert signal.getsignal(number) is before


def test_observers_hear_everything_and_their_errors_stop_nothing(tmp_path):
    epochs, ended = [], []

    def fail(result):
        ended.append(result)
        raise RuntimeError("an observer's own trouble")

    listener = Listener(lambda number, report: epochs.append((number, report.epoch)), fail)
    _, view = run_search(tmp_path, trials=4, listener=listener)
    assert [result.number for result in ended] == [0, 1, 2, 3]
    assert len(epochs) == sum(len(view.result(row.root).history) for row in view.rows())


def test_a_second_driver_is_refused_while_the_first_one_runs(tmp_path):
    with open_record(tmp_path), pytest.raises(StudyError, match=f"process {os.getpid()} is running"):
        open_record(tmp_path)
    start = time.monotonic()
    open_record(tmp_path).close()
    assert time.monotonic() - start < 10
