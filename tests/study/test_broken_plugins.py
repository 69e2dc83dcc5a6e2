"""Whatever a plugin does wrong, a study on two good models ends with the artifact of one of them."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from recsmith.contracts.errors import ArtifactError
from recsmith.study.frames import find_best
from recsmith.study.show import summarise

# A model that is right about every user of the log below, so that it leads the search, unless it is broken.
MODEL = """
import ctypes, os, sys, time
import numpy as np
from recsmith.contracts.data import State
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import ModelSpec

class Model:
    def __init__(self, items):
        self.items, self.step = items, 1
        {build}

    def fit(self, interactions):
        {fit}

    def scores(self, requests):
        lengths = np.diff(requests.histories.indptr)
        last = requests.histories.item_num[requests.histories.indptr[1:] - 1]
        scores = np.zeros((len(lengths), self.items), np.float32)
        scores[np.arange(len(lengths)), (last + self.step) % self.items] = 1.0
        {scores}
        return scores

    def state(self):
        {state}
        return State()

    def load(self, state):
        {load}

@hookimpl
def provide_models():
    return [ModelSpec(name="bad", api_version=1, build=lambda config, context: Model(context.items),
                      training="closed_form", offers=frozenset({{"ranking", "new_users"}}))]
{more}
"""

HERE = "in plugin model.bad (third-bad 1.2)"


def code(**lines):
    return MODEL.format(
        **{part: lines.get(part, "pass") for part in ("build", "fit", "scores", "state", "load", "more")}
    )


SET_ASIDE = {
    "cannot be imported": "import a_module_that_nobody_has",
    "ends the program when imported": "raise SystemExit(3)",
    "is of another API version": code().replace("api_version=1", "api_version=99"),
    "misspells its hook": code().replace("provide_models", "provide_modles"),
    "raises when asked for its specs": code().replace("return [ModelSpec", "1 / 0; return [ModelSpec"),
    "takes the name of a built-in": code().replace('name="bad"', 'name="popularity"'),
}
IN_A_TRIAL = {
    "raises when built": (code(build="raise ValueError('no')"), "failed", f"ValueError: no; {HERE}"),
    "raises when fitted": (code(fit="raise ValueError('no')"), "failed", f"ValueError: no; {HERE}"),
    "ends the program": (code(fit="sys.exit(3)"), "failed", f"SystemExit: 3; {HERE}"),
    "calls itself for ever": (code(fit="self.fit(interactions)"), "failed", "RecursionError: maximum recursion depth"),
    "scores with NaN": (code(scores="scores[:] = np.nan"), "pruned", "a score is NaN or +infinite"),
    "scores too few items": (
        code(scores="scores = scores[:, 1:]"),
        "failed",
        "the model's scores are [40, 19], and [40, 20]",
    ),
    "returns nothing": (code(scores="return None"), "failed", "the model's scores are a NoneType"),
    "writes into the log": (
        code(fit="interactions.histories.item_num[:] = 0"),
        "failed",
        f"ValueError: assignment destination is read-only; {HERE}",
    ),
}
ON_RAY = {
    "crashes the interpreter": (code(fit="ctypes.string_at(0)"), {}, "the worker process died"),
    "leaves without a word": (code(fit="os._exit(0)"), {}, "the worker process died"),
    "never returns": (code(fit="time.sleep(600)"), {"trial_timeout": 6}, "no report for 6 seconds"),
}
AT_THE_END = {
    "cannot tell its state": (
        code(state="raise ValueError('no')"),
        "bad: ValueError: no (plugin model.bad of third-bad",
    ),
    "cannot be loaded": (
        code(load="raise ValueError('no')"),
        "bad: ArtifactError: bad: the installed plugin cannot use",
    ),
    "answers otherwise once it is loaded": (code(load="self.step = 2"), "bad: ArtifactError: "),
}


@pytest.fixture
def frame():
    """Forty users on a circle of twenty items, each a step a day: the next item is the last one + 1."""
    starts = np.random.default_rng(0).integers(20, size=40)
    rows = [(user, (start + step) % 20, 86_400 * step) for user, start in enumerate(starts) for step in range(12)]
    return pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"]).astype({"user_id": str, "item_id": str})


def study(frame, folder, *, models=("popularity", "item_knn"), **engine):
    """A study on the two good models and whatever else is given."""
    engine = {"name": "inline", **engine}
    return find_best(frame, folder, trials=2 + len(models), seed=1, space={"model": list(models)}, engine=engine)


def well(result):
    """Whether a study ended as one without the broken plugin does."""
    return (
        result.best.configuration.name in ("popularity", "item_knn")
        and Path(result.artifact, "manifest.json").is_file()
    )


@pytest.mark.parametrize("case", SET_ASIDE)
def test_a_study_does_without_a_plugin_that(third_party, frame, tmp_path, case):
    third_party("bad", SET_ASIDE[case])
    result = study(frame, tmp_path / "study")
    assert well(result)
    assert result.counts["failed"] == 0
    assert "model.bad" in {left["path"] for left in summarise(tmp_path / "study")["left_out"]}


@pytest.mark.parametrize("case", IN_A_TRIAL)
def test_only_its_own_trials_end_badly_when_a_model(third_party, frame, tmp_path, case):
    code, state, reason = IN_A_TRIAL[case]
    third_party("bad", code)
    result = study(frame, tmp_path / "study", models=("popularity", "item_knn", "bad"))
    assert well(result)
    trials = summarise(tmp_path / "study")["trials"]
    assert {trial["state"] for trial in trials if trial["model"] != "bad"} == {"complete"}
    bad = [trial for trial in trials if trial["model"] == "bad"]
    assert {trial["state"] for trial in bad} == {state}
    assert reason in bad[0]["reason"]


@pytest.mark.parametrize(
    "case", [next(iter(ON_RAY)), *(pytest.param(case, marks=pytest.mark.slow) for case in list(ON_RAY)[1:])]
)
def test_a_study_on_ray_outlives_a_model_that(third_party, frame, tmp_path, case):
    code, engine, reason = ON_RAY[case]
    third_party("bad", code)
    result = study(frame, tmp_path / "study", models=("popularity", "item_knn", "bad"), name="ray", **engine)
    assert well(result)
    trials = summarise(tmp_path / "study")["trials"]
    assert {trial["state"] for trial in trials if trial["model"] != "bad"} == {"complete"}
    bad = [trial for trial in trials if trial["model"] == "bad"]
    assert bad[0]["state"] == "failed"
    assert reason in bad[0]["reason"]


@pytest.mark.parametrize("case", AT_THE_END)
def test_the_second_best_is_exported_when_the_model_that_leads(third_party, frame, tmp_path, case):
    code, reason = AT_THE_END[case]
    third_party("bad", code)
    folder = tmp_path / "study"
    result = study(frame, folder, models=("popularity", "item_knn", "bad"))
    assert well(result)
    assert [over.model for over in result.passed_over] == ["bad"]
    assert result.passed_over[0].reason.startswith(reason)
    again = study(frame, folder, models=("popularity", "item_knn", "bad"))
    assert (again.best.number, again.passed_over) == (result.best.number, result.passed_over)


def test_a_model_that_was_passed_over_has_its_turn_once_its_plugin_is_mended(third_party, frame, tmp_path):
    models = ("popularity", "item_knn", "bad")
    folder = third_party("bad", code(load="raise ValueError('no')"))
    assert well(study(frame, tmp_path / "study", models=models))
    (folder / "third_bad.py").write_text(code())
    sys.modules.pop("third_bad")
    result = study(frame, tmp_path / "study", models=models)
    assert (result.best.configuration.name, result.passed_over) == ("bad", ())


def test_a_stranger_in_the_artifacts_place_is_refused_before_anything_begins(frame, tmp_path):
    (tmp_path / "study" / "artifact").mkdir(parents=True)
    with pytest.raises(ArtifactError, match="artifact: exists and is no artifact"):
        study(frame, tmp_path / "study")
    assert [path.name for path in (tmp_path / "study").iterdir()] == ["artifact"]


def test_an_observer_that_fails_is_written_down_and_nothing_else(third_party, frame, tmp_path, caplog):
    observers = "\n".join(
        f"@hookimpl\ndef {hook}({arguments}):\n    raise ValueError('{hook}')"
        for hook, arguments in (
            ("study_started", "plan"),
            ("epoch_finished", "trial, report"),
            ("trial_finished", "result"),
            ("study_finished", "result"),
            ("artifact_saved", "path"),
        )
    )
    third_party("bad", code(more=observers))
    with caplog.at_level(logging.ERROR):
        assert well(study(frame, tmp_path / "study"))
    failed = {record.args[0] for record in caplog.records if record.args[1] == "model.bad"}
    assert failed == {"study_started", "epoch_finished", "trial_finished", "study_finished", "artifact_saved"}


def test_what_a_plugin_prints_does_not_mix_with_a_result_for_scripts(third_party, frame, tmp_path, monkeypatch):
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)  # C code buffers too
    third_party(
        "bad", "print('when imported')\n" + code(fit="print('hello'); ctypes.CDLL(None).printf(b'from below\\n')")
    )
    frame.to_csv(tmp_path / "log.csv", index=False)
    command = [sys.executable, "-m", "recsmith", "study", "run", "log.csv", "-o", "study", "--json", "--trials", "3"]
    command += ["--engine", "inline", "--set", "model=[popularity, bad]"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    events = [json.loads(line)["event"] for line in ran.stdout.splitlines()]
    assert events[0] == "study_started"
    assert events[-1] == "study_finished"
    assert {"hello", "from below", "when imported"} <= set(ran.stderr.splitlines())


def test_a_reader_that_fails_to_look_at_a_source_leaves_it_to_the_others(third_party, frame, tmp_path):
    reader = """
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import ReaderSpec

@hookimpl
def provide_readers():
    return [ReaderSpec(name="bad", api_version=1, build=lambda config, context: None, matches=lambda source: 1 / 0)]
"""
    third_party("bad", reader, plugin="reader.bad")
    assert well(study(frame, tmp_path / "study"))


def test_of_two_plugins_of_one_name_the_one_that_was_not_left_out_takes_part(third_party, frame, tmp_path):
    third_party("one", code(), plugin="model.bad")
    third_party("two", code(), plugin="model.bad")
    engine = {"name": "inline"}
    space = {"model": ["bad", "popularity"]}
    result = find_best(frame, tmp_path / "study", trials=2, space=space, engine=engine, without=["third-two"])
    assert (result.best.configuration.name, result.counts["failed"]) == ("bad", 0)
