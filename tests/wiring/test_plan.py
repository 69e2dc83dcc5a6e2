"""Plans from files, from a bare log, and from the command line."""

from __future__ import annotations

import pytest

from recsmith.contracts.errors import PlanError
from recsmith.wiring.plan import load_plan


def write(tmp_path, text):
    file = tmp_path / "plan.yaml"
    file.write_text(text)
    return file


def test_a_bare_log_is_a_plan(tmp_path):
    plan = load_plan(tmp_path / "shop.csv")
    assert (plan.name, plan.data.source) == ("shop", str(tmp_path / "shop.csv"))


def test_a_source_is_relative_to_the_plan_file(tmp_path):
    plan = load_plan(write(tmp_path, "data: {source: logs/shop.csv}\nbudget: {time: 10m, trials: 5}\n"))
    assert plan.data.source == str(tmp_path / "logs/shop.csv")
    assert (plan.budget.time, plan.budget.trials, plan.name) == (600.0, 5, "plan")


def test_options_and_settings_win_over_the_file(tmp_path):
    file = write(tmp_path, "data: shop.csv\nseed: 1\n")
    plan = load_plan(file, {"budget.trials": 7, "seed": None}, ["engine.name=inline", "model.ease.l2=1e2"])
    assert (plan.seed, plan.budget.trials, plan.engine.name) == (1, 7, "inline")
    assert plan.overrides == {"model.ease.l2": 100.0}


@pytest.mark.parametrize(
    "split",
    ["{name: leave_last, valid: 3}", "{name: leave_last, params: {valid: 3}}", "\n  name: leave_last\n  valid: 3"],
)
def test_a_split_may_hold_its_parameters_beside_its_name(tmp_path, split):
    plan = load_plan(write(tmp_path, f"data: shop.csv\nsplit: {split}\nengine: inline\n"))
    assert (plan.split.name, plan.split.params, plan.engine.name) == ("leave_last", {"valid": 3}, "inline")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("data: shop.csv\nbudgt: {trials: 3}\n", r"plan\.yaml:2: no key 'budgt'\. Did you mean 'budget'\?"),
        ("data: shop.csv\nbudget:\n  trial: 3\n", r"plan\.yaml:3: no key 'trial'\. Did you mean 'trials'\?"),
        ("data: shop.csv\nbudget:\n  trials: 0\n", r"plan\.yaml:3: budget\.trials: .*greater than or equal to 1"),
        ("data: shop.csv\nbudget: {time: soon}\n", r"'soon' is no duration"),
        ("data: shop.csv\nscenario: cross_domain\n", r"'cross_domain' is not built yet"),
        ("seed: 3\n", r"data is missing"),
        ("- a list\n", r"the top level must be a mapping"),
        ("data: {source: a\n", r"plan\.yaml:\d+: not valid YAML"),
        ("seed: 1\nseed: 2\ndata: a\n", r"plan\.yaml:2: not valid YAML: found duplicate key"),
    ],
)
def test_a_wrong_plan_is_refused_with_a_located_sentence(tmp_path, text, sentence):
    with pytest.raises(PlanError, match=sentence):
        load_plan(write(tmp_path, text))


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ("seed", "write it as name=value"),
        ("sead=3", "no setting 'sead'. Did you mean 'seed'?"),
        ("seed.x=3", "seed.x: 'seed' holds 1"),
    ],
)
def test_a_wrong_setting_is_refused(tmp_path, setting, sentence):
    with pytest.raises(PlanError, match=sentence.replace("?", r"\?")):
        load_plan(write(tmp_path, "data: a\nseed: 1\n"), {}, [setting])


def test_a_missing_plan_is_refused(tmp_path):
    with pytest.raises(PlanError, match="there is no such file"):
        load_plan(tmp_path / "none.yaml")
