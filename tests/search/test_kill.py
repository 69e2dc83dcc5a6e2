"""`kill -9` of a real driver at random moments: nothing finished is lost or run twice, and the budget is exact.

The toy trial fails when it is started although its result stands in its folder. To repeat the long variants:
`pytest tests/search/test_kill.py -m slow --kill-rounds 20` (see conftest.py).
"""

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from recsmith.records.study_view import StudyView

DRIVER = Path(__file__).with_name("kill_driver.py")


def start(folder, engine, trials):
    return subprocess.Popen([sys.executable, str(DRIVER), str(folder), engine, str(trials)], stdout=subprocess.DEVNULL)


def kill_and_finish(folder, engine, trials, delays):
    ended = {}  # root -> state, as seen after each kill
    for delay in delays:
        driver = start(folder, engine, trials)
        time.sleep(delay)
        driver.kill()
        driver.wait()
        if (folder / "study.db").exists() and (folder / "study.json").exists():
            rows = StudyView.open(folder).rows()
            now = {row.root: (row.state, row.value) for row in rows if row.state in {"complete", "pruned", "failed"}}
            assert ended.items() <= now.items(), "a finished trial was lost or changed"
            ended = now
    assert start(folder, engine, trials).wait(timeout=240) == 0
    view = StudyView.open(folder)
    rows = view.rows()
    finished = [row for row in rows if row.state in {"complete", "pruned", "failed"}]
    assert [row.reason for row in rows if row.state == "failed"] == []
    assert ended.items() <= {row.root: (row.state, row.value) for row in finished}.items()
    assert len({row.root for row in finished}) == len(finished) == trials
    assert view.counts()["running"] == view.counts()["waiting"] == 0
    assert len({str(sorted(row.params.items())) for row in finished}) == trials, "a point was tried twice"


def test_the_record_survives_three_kills_of_a_driver_in_one_process(tmp_path):
    kill_and_finish(tmp_path, "inline", 12, [2.0, 2.3, 1.7])


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["inline", "ray"])
def test_the_record_survives_kills_at_random_moments(tmp_path, engine, kill_rounds):
    seed = random.randrange(10**6)  # noqa: S311 - no secret
    print("seed", seed)  # noqa: T201 - shown when the test fails
    moments = random.Random(seed)  # noqa: S311
    longest = 4.0 if engine == "inline" else 14.0
    for round_ in range(kill_rounds):
        delays = [moments.uniform(0.5, longest) for _ in range(5)]
        kill_and_finish(tmp_path / str(round_), engine, 40, delays)
