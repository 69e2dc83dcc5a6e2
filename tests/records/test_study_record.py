import stat
import subprocess
import sys

import optuna
import pytest

from recsmith.contracts.config import Choice
from recsmith.contracts.domains import Float
from recsmith.contracts.errors import StudyError
from recsmith.contracts.plan import Budget, DataPlan, Engine, Plan
from recsmith.contracts.results import EpochReport, TrialResult
from recsmith.contracts.space import Group, OptionNode, Parameter, SearchSpace
from recsmith.records.first_trials import First
from recsmith.records.study_record import ATTEMPTS, StudyRecord
from recsmith.records.study_view import StudyView

X = Parameter(path="model.line.x", domain=Float(0.0, 1.0), default=0.5)
SPACE = SearchSpace(
    name="line",
    root=OptionNode(path="model", options={"line": Group(path="model.line", fields={"x": X})}, default="line"),
)


def plan(**changes):
    return Plan(data=DataPlan(source="log.csv"), **changes)


def open_record(folder, split="split", **changes):
    return StudyRecord.open(folder, plan(**changes), SPACE, split, direction="maximize", fingerprint="print")


def propose(trial):
    return Choice(name="line", params={"x": trial.suggest_float("model.line.x", 0.0, 1.0)})


def ended(asked, state="complete", value=0.5, **facts):
    return TrialResult(
        number=asked.number,
        root=asked.root,
        state=state,
        value=value,
        configuration=asked.configuration,
        history=(EpochReport(epoch=1, metrics={"ndcg@10": 0.5}, seconds=1.0),),
        **{"metrics": {"ndcg@10": 0.5}, "best_epoch": 1, "seconds": 1.5, **facts},
    )


def die(record):
    """What the end of a driver's process does: the lock falls, nothing else happens."""
    record.clock._stop.set()
    record._lock.release()


def test_each_way_to_end_has_its_own_state(tmp_path):
    with open_record(tmp_path) as record:
        record.complete(ended(record.ask(propose), value=0.7))
        record.complete(ended(record.ask(propose), "pruned", value=0.9))
        record.complete(ended(record.ask(propose), "pruned", value=None, reason="NaN", infeasible=True))
        record.complete(ended(record.ask(propose), "failed", value=None, reason="E: x", traceback="Traceback"))
        record.requeue(record.ask(propose).number)
        record.ask(propose)
        view = record.view
        assert [row.state for row in view.rows()] == ["complete", "pruned", "pruned", "failed", "retried", "running"]
        assert view.counts() == {
            "complete": 1, "pruned": 2, "failed": 1, "running": 1, "waiting": 0, "retried": 1,
        }  # fmt: skip
        assert view.finished() == 4
        assert view.best().number == 0  # never a pruned one
        states = [trial.state.name for trial in optuna.load_study(
            study_name="study", storage=f"sqlite:///{tmp_path}/study.db").trials]  # fmt: skip
        assert states == ["COMPLETE", "PRUNED", "PRUNED", "FAIL", "FAIL", "RUNNING"]


def test_a_row_holds_the_facts_of_its_trial(tmp_path):
    with open_record(tmp_path) as record:
        first = First(origin="default", model="line", point={"model.line.x": 0.25})
        asked = record.ask(propose, (3, first))
        record.complete(ended(asked, value=0.7))
    row = StudyView.open(tmp_path).rows()[0]
    assert (row.model, row.origin, row.place, row.root, row.value) == ("line", "default", 3, 0, 0.7)
    assert row.configuration == Choice(name="line", params={"x": 0.25})
    assert (row.metrics, row.best_epoch, row.seconds) == ({"ndcg@10": 0.5}, 1, 1.5)


def test_what_was_fixed_at_the_start_is_recorded(tmp_path):
    open_record(tmp_path).close()
    view = StudyView.open(tmp_path)
    assert view.plan == plan()
    assert view.space == SPACE
    assert view.attributes["split_hash"] == "split"
    assert view.attributes["fingerprint"] == "print"
    assert view.attributes["versions"]["optuna"] == optuna.__version__


def test_a_finished_trial_is_never_told_twice(tmp_path):
    with open_record(tmp_path) as record:
        asked = record.ask(propose)
        record.complete(ended(asked, value=0.7))
        record.complete(ended(asked, "failed", value=None))
        record.requeue(asked.number)
        assert [(row.state, row.value) for row in record.view.rows()] == [("complete", 0.7)]


def test_the_trial_of_a_dead_driver_runs_again_at_the_same_point_under_its_root(tmp_path):
    record = open_record(tmp_path)
    first = record.ask(propose)
    die(record)
    with open_record(tmp_path) as record:
        again = record.ask(propose)
        assert again.configuration == first.configuration
        assert (again.number, again.root, again.origin) == (1, 0, "retry")
        assert record.view.finished() == 0
        record.complete(ended(again))
        assert record.view.finished() == 1


def test_a_result_that_a_dead_driver_did_not_tell_is_told(tmp_path):
    record = open_record(tmp_path)
    asked = record.ask(propose)
    record.view.trial_folder(asked.root).write_result(ended(asked, value=0.9))
    die(record)
    with open_record(tmp_path) as record:
        assert [(row.state, row.value) for row in record.view.rows()] == [("complete", 0.9)]


def test_taking_over_can_itself_be_killed_at_any_step(tmp_path, monkeypatch):
    record = open_record(tmp_path)
    record.ask(propose)
    die(record)

    def killed(*_, **__):
        raise KeyboardInterrupt

    for step in ("set_user_attr", "tell"):
        owner = optuna.trial.Trial if step == "set_user_attr" else optuna.study.Study
        with monkeypatch.context() as patch:
            patch.setattr(owner, step, killed)
            with pytest.raises(KeyboardInterrupt):
                open_record(tmp_path)
    with open_record(tmp_path) as record:
        assert [row.state for row in record.view.rows()] == ["retried", "waiting"]


def test_a_trial_during_which_drivers_keep_dying_is_given_up(tmp_path):
    for _ in range(ATTEMPTS):
        record = open_record(tmp_path)
        assert record.ask(propose).root == 0
        die(record)
    with open_record(tmp_path) as record:
        last = record.view.rows()[-1]
        assert (last.state, last.root) == ("failed", 0)
        assert last.reason == f"the driver died {ATTEMPTS} times while it ran"
        assert record.view.counts() == {
            "complete": 0, "pruned": 0, "failed": 1, "running": 0, "waiting": 0, "retried": ATTEMPTS - 1,
        }  # fmt: skip


def test_an_ordered_end_does_not_count_as_a_death(tmp_path):
    for _ in range(ATTEMPTS + 2):
        with open_record(tmp_path) as record:
            record.requeue(record.ask(propose).number)
    with open_record(tmp_path) as record:
        assert record.ask(propose).root == 0


def test_another_plan_or_split_is_refused_and_the_difference_named(tmp_path):
    open_record(tmp_path).close()
    with pytest.raises(StudyError, match=r"differs in seed \(was 0, now 1\)"):
        open_record(tmp_path, seed=1)
    with pytest.raises(StudyError, match="the log or its split"):
        open_record(tmp_path, split="other")
    open_record(tmp_path, budget=Budget(trials=99), engine=Engine(name="inline")).close()


def test_a_resume_goes_on_with_the_recorded_space(tmp_path):
    open_record(tmp_path).close()
    other = SPACE.model_copy(update={"name": "other"})
    with StudyRecord.open(tmp_path, plan(), other, "split", direction="maximize") as record:
        assert record.view.space == SPACE


def test_running_time_adds_up_over_drivers(tmp_path):
    with open_record(tmp_path) as record:
        first = record.clock.seconds
    with open_record(tmp_path) as record:
        assert record.clock.seconds >= first
    assert StudyView.open(tmp_path).seconds >= first


def test_who_looks_writes_nothing_and_may_look_while_a_driver_runs(tmp_path):
    with open_record(tmp_path) as record:
        record.ask(propose)
        assert StudyView.open(tmp_path).counts()["running"] == 1
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    assert len(StudyView.open(tmp_path).rows()) == 1
    tmp_path.chmod(stat.S_IRWXU)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before


def test_looking_where_no_study_is_says_so(tmp_path):
    with pytest.raises(StudyError, match="there is no study here"):
        StudyView.open(tmp_path)


def test_a_folder_left_by_a_trial_that_the_record_does_not_know_is_cleared(tmp_path):
    with open_record(tmp_path) as record:
        stale = record.view.trial_folder(0)
        stale.append(EpochReport(epoch=1, metrics={}, seconds=1.0))
        record.ask(propose)
        assert stale.history() == []


def test_a_database_is_named_by_its_variable_and_never_by_its_url(tmp_path, monkeypatch):
    with pytest.raises(StudyError, match="STUDIES is not set"):
        open_record(tmp_path / "a", storage="env:STUDIES")
    monkeypatch.setenv("STUDIES", "nosuchdatabase://user:secret@host/db")
    with pytest.raises(StudyError) as caught:
        open_record(tmp_path / "b", storage="env:STUDIES")
    assert "secret" not in str(caught.value)
    assert caught.value.__suppress_context__
    with pytest.raises(StudyError, match=r"write `storage: env:NAME`"):
        open_record(tmp_path / "c", storage="postgresql://user:secret@host/db")
    url = f"sqlite:///{tmp_path}/shared.db"
    monkeypatch.setenv("STUDIES", url)
    open_record(tmp_path / "d", storage="env:STUDIES").close()
    assert not any(url.encode() in path.read_bytes() for path in (tmp_path / "d").rglob("*") if path.is_file())
    with pytest.raises(StudyError, match="of another folder"):
        open_record(tmp_path / "e", storage="env:STUDIES")


def test_a_second_process_is_refused(tmp_path):
    code = (
        "import sys; from pathlib import Path; from recsmith.records.driver_lock import DriverLock; "
        "DriverLock(Path(sys.argv[1])).acquire()"
    )
    with open_record(tmp_path):
        other = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False)
    assert other.returncode == 1
    assert "is running this study" in other.stderr
