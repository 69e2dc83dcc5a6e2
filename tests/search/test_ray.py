"""The same search on a real Ray, which is started once for this file."""

import signal

import pytest
from toy_search import run_search, sends

from recsmith.contracts.errors import StudyError
from recsmith.contracts.plan import Engine
from recsmith.search.ray_session import local_slots, ray_session

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::ResourceWarning", "ignore::FutureWarning"
)


@pytest.fixture(scope="module", autouse=True)
def running_ray():
    with ray_session(Engine()):
        yield


def on_ray(folder, **settings):
    return run_search(folder, engine="ray", **settings)


def test_every_kind_of_trouble_is_recorded_and_the_study_goes_on(tmp_path):
    trouble = {1: "raise", 2: "nan", 3: "crash", 4: "hang"}
    ending, view = on_ray(tmp_path, trials=9, shared={"trouble": trouble}, trial_timeout=2.0)
    rows = {row.number: row for row in view.rows()}
    assert ending == "trials"
    assert len(rows) == view.finished() == 9
    assert [rows[n].state for n in range(1, 5)] == ["failed", "pruned", "failed", "failed"]
    assert rows[1].reason == "ValueError: a plugin's mistake"
    assert "misbehave" in rows[1].traceback
    assert rows[3].reason.startswith("the worker process died")
    assert rows[4].reason == "TimeoutError: no report for 2 seconds"
    assert "misbehave" in rows[4].traceback  # the stack of the moment
    assert view.result(0).state == "complete"
    assert not list(tmp_path.rglob("*.pkl"))


def test_successive_halving_ends_bad_networks_and_no_closed_form_model(tmp_path):
    quality = {root: 0.1 if root > 6 else 0.9 for root in range(30)}
    _, view = on_ray(tmp_path, trials=16, shared={"quality": quality})
    late = [row for row in view.rows() if row.root > 8]
    assert {row.state for row in late if row.model == "net"} == {"pruned"}
    assert all(row.state == "complete" for row in view.rows() if row.model == "flat")


def test_time_ends_running_trials_and_they_go_on_in_the_next_search(tmp_path):
    ending, view = on_ray(tmp_path, seconds=5.0, shared={"pause": 2.0})
    assert ending == "time"
    assert view.counts()["running"] == 0
    assert view.counts()["waiting"] >= 1
    _, view = on_ray(tmp_path, trials=view.finished() + 2)
    assert view.counts()["running"] == 0
    finished = [row.root for row in view.rows() if row.state in {"complete", "pruned"}]
    assert len(finished) == len(set(finished))


def test_an_interrupt_ends_the_search_in_order(tmp_path):
    ending, view = on_ray(tmp_path, trials=10_000, shared={"pause": 0.05}, listener=sends(signal.SIGINT))
    assert ending == "interrupted"
    assert view.counts()["running"] == 0


def test_a_trial_that_asks_for_more_than_the_machine_is_refused():
    with pytest.raises(StudyError, match=r"engine\.cpus_per_trial: a trial asks for 4096 CPUs"):
        local_slots(Engine(cpus_per_trial=4096))
