"""The plug is pulled on a whole study, search or refit, and the same command ends it as if nothing had been."""

from __future__ import annotations

import random
import subprocess
import sys
import time

import pytest

from recsmith.artifacts.load import load_artifact
from recsmith.records.study_result import read_study_result
from recsmith.records.study_view import StudyView
from recsmith.testing.demo import demo_log

TRIALS = 10


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_study_survives_kills_at_random_moments(tmp_path):
    seed = random.randrange(10**6)  # noqa: S311 - no secret
    print("seed", seed)  # noqa: T201 - shown when the test fails
    moments = random.Random(seed)  # noqa: S311
    log, study = demo_log(tmp_path / "log", users=200, items=120), tmp_path / "study"
    command = [sys.executable, "-c", "from recsmith.cli.main import main; main()", "study", "run", str(log)]
    command += ["-o", str(study), "--trials", str(TRIALS), "--space", "quick", "--seed", "1", "--quiet"]
    for _ in range(5):
        driver = subprocess.Popen(command)
        time.sleep(moments.uniform(3.0, 25.0))
        driver.kill()
        driver.wait()
    assert subprocess.run(command, check=False).returncode == 0
    view = StudyView.open(study)
    counts = view.counts()
    assert counts["complete"] + counts["pruned"] == TRIALS
    assert counts["failed"] == counts["running"] == counts["waiting"] == 0
    finished = [row.root for row in view.rows() if row.state in {"complete", "pruned"}]
    assert len(set(finished)) == TRIALS
    result = read_study_result(study)
    assert result.best.value == view.best().value
    load_artifact(result.artifact)
