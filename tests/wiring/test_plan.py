"""Plans from files, from a bare log, and from the command line."""

from __future__ import annotations

import pytest

from recsmith.contracts.errors import PlanError, RecsmithError
from recsmith.contracts.plan import Plan
from recsmith.wiring.documents import Document
from recsmith.wiring.names import check_names
from recsmith.wiring.plan import check_plan, load_plan
from recsmith.wiring.plugins import load_plugins


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
        ("data: shop.csv\nbudget:\n  trial: 3\n", r"plan\.yaml:3: budget: no key 'trial'\. Did you mean 'trials'\?"),
        ("data: shop.csv\nbudget:\n  trials: 0\n", r"plan\.yaml:3: budget\.trials: .*greater than or equal to 1"),
        ("data: shop.csv\nbudget: {time: soon}\n", r"'soon' is no duration"),
        ("data: shop.csv\nscenario: streamed\n", r"no value 'streamed'. Did you mean 'streaming'?"),
        ("seed: 3\n", r"data is missing"),
        ("- a list\n", r"the top level must be a mapping"),
        ("data: {source: a\n", r"plan\.yaml:\d+: not valid YAML"),
        ("seed: 1\nseed: 2\ndata: a\n", r"plan\.yaml:2: not valid YAML: found duplicate key"),
    ],
)
def test_a_wrong_plan_is_refused_with_a_located_sentence(tmp_path, text, sentence):
    with pytest.raises(PlanError, match=sentence):
        load_plan(write(tmp_path, text))


MISTAKES = [  # a plan, and what is said of it, up to the list of known names
    ("data: a\nsplti: leave_last\n", "plan.yaml:2: no key 'splti'. Did you mean 'split'?"),
    ("data:\n  source: a\n  columns:\n    usr: u\n", "plan.yaml:4: data.columns: no key 'usr'. Did you mean 'user'?"),
    (
        "data: {source: a, filter: {min_values: 3}}\n",
        "plan.yaml:1: data.filter: no key 'min_values'. Did you mean 'min_value'?",
    ),
    ("data: a\nengine:\n  name: ray\n  cpus: 2\n", "plan.yaml:4: engine: no key 'cpus'."),
    ("data: a\nscenario: nxt_item\n", "plan.yaml:2: scenario: no value 'nxt_item'. Did you mean 'next_item'?"),
    ("data: a\nengine: rya\n", "plan.yaml:2: engine: no value 'rya'. Did you mean 'ray'?"),
    ("data: a\nengine:\n  name: inlin\n", "plan.yaml:3: engine.name: no value 'inlin'. Did you mean 'inline'?"),
    ("data:\n  source: a\n  reader: foldr\n", "plan.yaml:3: data.reader: no reader 'foldr'. Did you mean 'folder'?"),
    (
        "data:\n  source: a\n  columns:\n    items:\n      title: txt\n",
        "plan.yaml:5: data.columns.items.title: no value 'txt'. Did you mean 'text'?",
    ),
    ("data: {source: a, order: row}\n", "plan.yaml:1: data.order: no value 'row'. Did you mean 'rows'?"),
    ("data: a\nsplit: leave_lst\n", "plan.yaml:2: split: no splitter 'leave_lst'. Did you mean 'leave_last'?"),
    (
        "data: a\nsplit:\n  name: leave_last\n  vald: 3\n",
        "plan.yaml:4: split: leave_last: no parameter 'vald'. Did you mean 'valid'?",
    ),
    (
        "data: a\nsplit:\n  name: leave_last\n  params:\n    valid: many\n",
        "plan.yaml:5: split: leave_last: valid: it should be a valid integer (given: 'many').",
    ),
    ("data: a\nobjective: ndgc@10\n", "plan.yaml:2: objective: no metric 'ndgc'. Did you mean 'ndcg'?"),
    (
        "data: a\nobjective: ndcg\n",
        "plan.yaml:2: objective: metric 'ndcg': the cut-off is a whole number from 1. Write for example 'ndcg@10'.",
    ),
    ("data: a\nmetrics:\n  - ndcg@5\n  - recal@5\n", "plan.yaml:4: metrics: no metric 'recal'. Did you mean 'recall'?"),
    (
        "data: a\nmetrics: [mae@10]\n",
        "plan.yaml:2: metrics: metric 'mae@10': mae judges ratings and has no cut-off. Write 'mae'.",
    ),
    ("data: a\nspace: defualt\n", "plan.yaml:2: space: no search space 'defualt'. Did you mean 'default'?"),
    ("data: a\nspace: mine.yaml\n", "plan.yaml:2: space: FOLDER/mine.yaml: there is no such file."),
    (
        "data: a\nspace: wrong.yaml\n",
        "wrong.yaml:2: model.ease: no parameter 'histroy_half_life'. Did you mean 'history_half_life'?",
    ),
    ("data: a\nspace:\n  model:\n    eese: {l2: 3}\n", "plan.yaml:4: model: no parameter 'eese'. Did you mean 'ease'?"),
    (
        "data: a\nspace:\n  model:\n    - ease\n    - sasrek\n",
        "plan.yaml:5: model: no option 'sasrek'. Did you mean 'sasrec'?",
    ),
    (
        "data: a\nspace:\n  model.sasrec.activation: gleu\n",
        "plan.yaml:3: model.sasrec.activation: no value 'gleu'. Did you mean 'gelu'?",
    ),
    (
        "data: a\nspace:\n  model.*.training.loss: bce2\n",
        "plan.yaml:3: model.adaptive_mlp.training.loss: no option 'bce2'. Did you mean 'bce'?",
    ),
    (
        "data: a\nspace:\n  model.ease.l2: {low: 9, hihg: 9}\n",
        (
            "plan.yaml:3: model.ease.l2: a range is written {low: …, high: …} and may say log "
            "(given: {'low': 9, 'hihg': 9})."
        ),
    ),
    (
        "data: a\nspace:\n  model.content_knn.content.encoders.title: tfidff\n",
        "plan.yaml:3: model.content_knn.content.encoders.*: no option 'tfidff'. Did you mean 'tfidf'?",
    ),
    (
        "data: a\noverrides:\n  model.ease.l2: '300'\n",
        "plan.yaml:3: model.ease.l2: it should be a valid number (given: '300').",
    ),
    (
        "data: a\nplugins:\n  - recsmith\n  - model.eese\n",
        "plan.yaml:4: plugins: no installed plugin 'model.eese'. Did you mean 'model.ease'?",
    ),
    ("data: a\nwithout: [recsmit]\n", "plan.yaml:2: without: no installed plugin 'recsmit'. Did you mean 'recsmith'?"),
    ("data: a\nseed: '3'\n", "plan.yaml:2: seed: it should be a valid integer (given: '3')."),
    ("data: a\nmask_seen: yes\n", "plan.yaml:2: mask_seen: it should be a valid boolean (given: 'yes')."),
    (
        "data: a\nbudget:\n  time: soon\n",
        "plan.yaml:3: budget.time: 'soon' is no duration: write for example 90s, 10m or 1.5h.",
    ),
    (
        "data: a\nwithout: [model.sasrec]\nspace: {model: [sasrec]}\n",
        "plan.yaml:3: model: the plugin 'sasrec' is not allowed: it was left out by name.",
    ),
    (
        "data: a\nwithout: [splitter.leave_last]\nsplit: leave_last\n",
        "plan.yaml:3: split: the plugin 'splitter.leave_last' is not allowed: it was left out by name.",
    ),
]


def said(error, folder):
    """What an error says before it lists what is known, without the folder of the test."""
    return str(error.value).split(" Known:")[0].replace(f"{folder}/", "").replace("space: mine", "space: FOLDER/mine")


@pytest.mark.parametrize(("text", "sentence"), MISTAKES)
def test_a_mistake_in_a_plan_is_told_with_file_line_and_the_nearest_name(tmp_path, text, sentence):
    (tmp_path / "wrong.yaml").write_text("model.sasrec.blocks: 2\nmodel.ease.histroy_half_life: 3\n")
    with pytest.raises(RecsmithError) as error:
        load_plan(write(tmp_path, text))
    assert said(error, tmp_path) == sentence


@pytest.mark.parametrize(
    ("changes", "setting", "sentence"),
    [
        ({}, "split=leave_lst", "--set split: split: no splitter 'leave_lst'. Did you mean 'leave_last'?"),
        ({}, "budget.trails=3", "--set budget.trails: budget: no key 'trails'. Did you mean 'trials'?"),
        ({}, "model.eese.l2=3", "--set model.eese.l2: model: no parameter 'eese'. Did you mean 'ease'?"),
        ({}, "metrics=[ndcg@5, recal@5]", "--set metrics: metrics: no metric 'recal'. Did you mean 'recall'?"),
        ({"space": "qiuck"}, "seed=1", "space: no search space 'qiuck'. Did you mean 'quick'?"),
        ({"engine.name": "rya"}, "seed=1", "engine.name: no value 'rya'. Did you mean 'ray'?"),
        (
            {"without": ["model.eese"]},
            "seed=1",
            "without: no installed plugin 'model.eese'. Did you mean 'model.ease'?",
        ),
    ],
)
def test_a_mistake_on_the_command_line_is_not_blamed_on_the_file(tmp_path, changes, setting, sentence):
    file = write(tmp_path, "data: a\nmetrics:\n  - ndcg@5\n  - ndcg@10\nbudget:\n  trials: 3\n")
    with pytest.raises(RecsmithError) as error:
        load_plan(file, changes, [setting])
    assert said(error, tmp_path) == sentence


def test_a_plan_from_python_is_checked_in_plain_sentences():
    registry = load_plugins().registry
    plan = Plan.model_validate({"data": {"source": "a"}, "split": {"name": "leave_lst"}})
    with pytest.raises(PlanError, match=r"^plan: split: no splitter 'leave_lst'\. Did you mean 'leave_last'\?"):
        check_names(plan, registry)
    plan = Plan.model_validate({"data": {"source": "a"}, "space": {"model.eese": {}}})
    with pytest.raises(RecsmithError, match=r"^space: model: no parameter 'eese'\. Did you mean 'ease'\?"):
        check_names(plan, registry)
    with pytest.raises(RecsmithError, match=r"^plan: model: no parameter 'eese'\. Did you mean 'ease'\?"):
        check_plan(Document("plan", {"data": {"source": "a"}, "space": {"model": {"eese": {}}}}))


def test_a_plugin_that_the_plan_wants_and_cannot_have_is_told_at_its_place(tmp_path, monkeypatch):
    monkeypatch.setenv("RECSMITH_PLUGINS", "metric.mae")
    with pytest.raises(
        PlanError, match=r"plan\.yaml:2: plugins: plugin 'model\.ease' .* cannot be used: .*RECSMITH_PLUGINS"
    ):
        load_plan(write(tmp_path, "data: a\nplugins: [model.ease]\n"))


def test_a_space_file_is_relative_to_the_plan_file(tmp_path):
    (tmp_path / "mine.yaml").write_text("model.ease.l2: 3\n")
    assert load_plan(write(tmp_path, "data: a\nspace: mine.yaml\n")).space == str(tmp_path / "mine.yaml")


def test_a_line_about_a_plugin_that_is_left_out_is_no_mistake(tmp_path):
    plan = load_plan(write(tmp_path, "data: a\nspace: quick\nwithout: [model.sasrec]\n"))
    assert plan.without == ("model.sasrec",)


def test_a_date_is_text_and_what_an_anchor_merges_in_has_the_place_of_the_mapping(tmp_path):
    text = "name: 2024-01-05\ndata: {source: a}\nsplit:\n  <<: {vald: 3}\n  name: leave_last\n"
    with pytest.raises(PlanError, match=r"plan\.yaml:3: split: leave_last: no parameter 'vald'"):
        load_plan(write(tmp_path, text))
    assert load_plan(write(tmp_path, "name: 2024-01-05\ndata: a\n")).name == "2024-01-05"


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
