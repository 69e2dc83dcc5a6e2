"""The record on a real PostgreSQL, where one is installed."""

import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from recsmith.contracts.config import Choice
from recsmith.contracts.plan import DataPlan, Plan
from recsmith.contracts.results import TrialResult
from recsmith.contracts.space import Group, OptionNode, SearchSpace
from recsmith.records.study_record import StudyRecord
from recsmith.records.study_view import StudyView

pytestmark = pytest.mark.slow
SPACE = SearchSpace(name="s", root=OptionNode(path="model", options={"m": Group(path="model.m")}, default="m"))


def binary(name):
    found = shutil.which(name) or next(map(str, Path("/usr/lib/postgresql").glob(f"*/bin/{name}")), None)
    return found or pytest.skip(f"PostgreSQL is not installed (no {name})")


@pytest.fixture
def url():
    if importlib.util.find_spec("psycopg2") is None:
        pytest.skip("psycopg2 is not installed (the extra `postgres`)")
    initdb, server = binary("initdb"), binary("pg_ctl")
    user = {}
    with tempfile.TemporaryDirectory() as folder:
        if os.getuid() == 0:  # PostgreSQL refuses to run as root
            try:
                owner = pwd.getpwnam("postgres")
            except KeyError:
                pytest.skip("there is no user postgres to run the server as")
            os.chown(folder, owner.pw_uid, owner.pw_gid)
            user = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": [owner.pw_gid], "cwd": folder}
        data = f"{folder}/data"
        subprocess.run([initdb, "-D", data, "-U", "me", "--auth=trust"], check=True, capture_output=True, **user)
        options = f"-c listen_addresses='' -c unix_socket_directories={folder}"
        start = [server, "-D", data, "-o", options, "-l", f"{folder}/log", "-w", "start"]
        subprocess.run(start, check=True, stdout=subprocess.DEVNULL, **user)
        try:
            yield f"postgresql://me@/postgres?host={folder}"
        finally:
            subprocess.run([server, "-D", data, "-m", "fast", "stop"], check=True, capture_output=True, **user)


def propose(trial):
    trial.suggest_float("model.m.x", 0.0, 1.0)
    return Choice(name="m", params={"long": "x" * 5000})  # an attribute of any length


def test_a_study_runs_dies_and_resumes_on_postgresql(tmp_path, url, monkeypatch):
    monkeypatch.setenv("STUDIES", url)
    plan = Plan(data=DataPlan(source="log.csv"), storage="env:STUDIES")
    record = StudyRecord.open(tmp_path, plan, SPACE, "split", direction="maximize")
    first, second = record.ask(propose), record.ask(propose)
    facts = {"state": "complete", "value": 0.5, "configuration": first.configuration}
    record.complete(TrialResult(number=first.number, root=first.root, **facts))
    record.clock._stop.set()  # as the end of the process does
    record._lock.release()
    with StudyRecord.open(tmp_path, plan, SPACE, "split", direction="maximize") as record:
        again = record.ask(propose)
        assert (again.root, again.configuration) == (second.root, second.configuration)
        record.complete(TrialResult(number=again.number, root=again.root, **facts))
    view = StudyView.open(tmp_path)
    assert [row.state for row in view.rows()] == ["complete", "retried", "complete"]
    assert view.rows()[0].params == view._study.trials[0].params
