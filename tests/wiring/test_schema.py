"""The JSON Schema of spaces and plans accepts what the program accepts, and refuses what it refuses."""

from __future__ import annotations

import json
import re
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from recsmith.cli.main import main
from recsmith.contracts.errors import RecsmithError, SpaceError
from recsmith.contracts.space import Group, OptionNode, Parameter
from recsmith.wiring.documents import Document, read_document
from recsmith.wiring.names import grow_for_any_log
from recsmith.wiring.narrowing import children, narrowed
from recsmith.wiring.plan import load_plan
from recsmith.wiring.plan_schema import plan_schema
from recsmith.wiring.plugins import load_plugins
from recsmith.wiring.schema import space_schema

ROOT = Path(__file__).parents[2]
LOADED = load_plugins()
REGISTRY = LOADED.registry
TREE = grow_for_any_log(REGISTRY)
SPACE = jsonschema.Draft202012Validator(space_schema(REGISTRY))
PLAN = jsonschema.Draft202012Validator(
    plan_schema(REGISTRY, [i for p in LOADED.found for i in (p.name, p.distribution)])
)


def read(text):
    return YAML(typ="safe", pure=True).load(text) or {}


def space_loads(content):
    try:
        narrowed(TREE, [Document("mine.yaml", content)], {})
    except SpaceError:
        return False
    return True


def plan_loads(file, text):
    """Whether the program accepts a plan, and whether the schema does."""
    file.write_text(text)
    try:
        load_plan(file)
        loads = True
    except RecsmithError:
        loads = False
    return loads, PLAN.is_valid(read_document(file, RecsmithError).content)


@pytest.mark.parametrize("validator", [SPACE, PLAN])
def test_a_schema_is_a_valid_schema_whose_references_all_lead_somewhere(validator):
    jsonschema.Draft202012Validator.check_schema(validator.schema)
    for reference in set(re.findall(r'"\$ref": "#/(.*?)"', json.dumps(validator.schema))):
        place = validator.schema
        for step in reference.split("/"):
            place = place[step]
        assert isinstance(place, dict)


@pytest.mark.parametrize("file", sorted((ROOT / "search_spaces").glob("*.yaml")), ids=lambda file: file.stem)
def test_every_space_that_travels_with_the_package_fits_its_schema(file):
    SPACE.validate(read(file.read_text(encoding="utf-8")))


def blocks():
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        for number, block in enumerate(
            re.findall(r"^```yaml\n(.*?)^```", page.read_text("utf-8"), re.DOTALL | re.MULTILINE)
        ):
            yield pytest.param(read(block), id=f"{page.stem}-{number}")


@pytest.mark.parametrize("block", list(blocks()))
def test_every_example_in_the_documentation_fits_its_schema(block):
    if "data" in block:
        PLAN.validate(block)
    elif any(str(key).partition(".")[0] == "model" for key in block):
        SPACE.validate(block)
    else:  # a part of a plan
        PLAN.validate({"data": "shop.csv", **block})


GOOD_SPACES = [
    "{}",
    "model: [sasrec, ease]",
    "model: sasrec",
    "model.sasrec.training.epochs: 20",
    "model: {sasrec: {training: {epochs: 20}}}",
    "model: {sasrec.training: {epochs: 20}}",
    "model.sasrec: {training.epochs: 1e2}",
    "model.sasrec.dropout: {low: 0.1, high: 0.4}",
    "model.sasrec.dropout: {low: 0.1, high: 0.4, log: true}",
    "model.sasrec.blocks: {low: 2, high: 8, step: 2}",
    "model.sasrec.blocks: [1, 3]",
    "model.sasrec.dropout: 1",
    "model.sasrec.activation: [gelu, relu]",
    "model.sasrec.norm_first: true",
    "model.*.training.patience: 3",
    "model.*.training: {patience: 3, loss.gbce.negatives: [16, 64]}",
    "model: {'*.training.loss': [bpr, bce]}",
    "model.*.training.loss.*.negatives: {low: 8, high: 64, log: true}",
    "model.bpr_mf.meta_learner: ridge_fold_in",
    "model.content_knn.content.encoders.title: tfidf",
    "model.content_knn.content.encoders: {title: {tfidf: {components: 64}}, genre: [none, categories]}",
    "model.content_knn.content.encoders.*.tfidf.components: 64",
]
BAD_SPACES = [
    "model: [sasrec, eese]",
    "model: []",
    "model: 3",
    "model: [[sasrec]]",
    "modle: [sasrec]",
    "model.eese.l2: 3",
    "model.ease.l3: 3",
    "model: {ease: {l3: 3}}",
    "model: {ease.l3: 3}",
    "model.ease: 3",
    "model.ease.l2: '300'",
    "model.ease.l2: true",
    "model.ease.l2: null",
    "model.ease.l2: [300, many]",
    "model.ease.l2: [300, 300.0]",
    "model.ease.l2: []",
    "model.ease.l2: {low: 1}",
    "model.ease.l2: {low: 1, high: 9, step: 2}",
    "model.ease.l2: {low: 0, high: 9, log: true}",
    "model.ease.l2: {low: 1, high: 9, log: 1}",
    "model.sasrec.blocks: 1.5",
    "model.sasrec.blocks: {low: 1, high: 8, log: true, step: 2}",
    "model.sasrec.blocks: {low: 1, high: 8, step: 0}",
    "model.sasrec.activation: gleu",
    "model.sasrec.activation: {low: 1, high: 2}",
    "model.sasrec.norm_first: 1",
    "model.sasrec.norm_first: {low: false, high: true}",
    "model.*.no_such: 1",
    "model.*.training.patience: long",
    "model.*.training: {patiense: 3}",
    "model.*: {training: {patience: 3}}",
    "model.sasrec.dropout.deep: 1",
    "model.content_knn.content.encoders.title: tfidff",
    "model.content_knn.content.encoders.title.tfidf.no_such: 3",
    "{model: [ease], model.sasrec.dropuot: 0.1}",
]


@pytest.mark.parametrize("text", GOOD_SPACES)
def test_what_a_space_may_hold_is_accepted_by_both(text):
    assert (space_loads(read(text)), SPACE.is_valid(read(text))) == (True, True)


@pytest.mark.parametrize("text", BAD_SPACES)
def test_what_a_space_may_not_hold_is_refused_by_both(text):
    assert (space_loads(read(text)), SPACE.is_valid(read(text))) == (False, False)


VALUES = st.one_of(
    st.sampled_from([True, False, None, 0, 3, 0.5, 64, 1e3, "3", "gelu", "bpr", "none", "sasrec", [], {}]),
    st.lists(st.sampled_from([True, 1, 1.0, 2, 0.5, "ease", "sasrec", "bpr", "relu", "none"]), max_size=3),
    st.fixed_dictionaries(
        {"low": st.sampled_from([0, 1, 0.5, "1"]), "high": st.sampled_from([4, 4.5, 64])},
        optional={
            "log": st.sampled_from([True, False, 1]),
            "step": st.sampled_from([1, 2, 0.5]),
            "kind": st.just("int"),
        },
    ),
    st.dictionaries(st.sampled_from(["training", "l2", "epochs", "*", "loss.bpr", "tfidf"]), st.just(3), max_size=2),
)


def fitting(node):
    """A value that may be written for a node."""
    if isinstance(node, OptionNode):
        return st.one_of(st.sampled_from(list(node.options)), st.lists(st.sampled_from(list(node.options)), min_size=1))
    if isinstance(node, Group):
        return st.just({})
    return st.just(node.default if isinstance(node, Parameter) else node.value)


@st.composite
def lines(draw):
    """A path that leads into the tree, or nearly, with a value: dotted or nested."""
    names, node = ["model"], TREE.root
    while children(node) and draw(st.integers(0, 5)):
        name = draw(st.sampled_from(sorted(children(node))))
        node = children(node)[name]
        names.append(draw(st.sampled_from([name] * 8 + ["*"] * 3 + [f"{name}x"])))
    key, value = names[-1], draw(st.one_of(fitting(node), VALUES))
    for name in reversed(names[:-1]):
        if draw(st.booleans()):
            key, value = name, {key: value}
        else:
            key = f"{name}.{key}"
    return {key: value}


@settings(max_examples=300, deadline=None)
@given(lines())
def test_a_line_is_accepted_by_both_or_by_neither(content):
    assert SPACE.is_valid(content) == space_loads(content)


def test_only_the_program_knows_that_a_range_is_upside_down():
    content = read("model.ease.l2: {low: 9, high: 1}")
    assert (space_loads(content), SPACE.is_valid(content)) == (False, True)


GOOD_PLANS = [
    "data: shop.csv",
    "data: {source: shop/, reader: folder, columns: {user: customer, items: {title: text}}}",
    "data: {source: shop/, filter: {min_value: 3}, order: rows}",
    "data: a\nname: 2024-01-05",
    "data: a\nsplit: leave_last",
    "data: a\nsplit: {name: leave_last, valid: 3}",
    "data: a\nsplit: {name: leave_last, params: {valid: 3}}",
    "data: a\nsplit: {name: time_cut, test_from: null}",
    "data: a\nsplit: null",
    "data: a\nengine: inline",
    "data: a\nengine: {name: ray, max_concurrent: 2, trial_timeout: 10m}",
    "data: a\nbudget: {time: 1.5h, trials: 5}",
    "data: a\nbudget: {time: 90}",
    "data: a\nseed: 3.0",
    "data: a\nobjective: recall@13\nmetrics: [mae, ndcg@010]",
    "data: a\nspace: quick",
    "data: a\nspace: {model: [ease], model.ease.l2: 3}",
    "data: a\nspace: {}\noverrides: {model.ease.l2: {low: 1, high: 9}}",
    "data: a\nplugins: [recsmith]\nwithout: [model.ease]",
]
BAD_PLANS = [
    "{}",
    "data: 3",
    "data: {reader: folder}",
    "data: {source: a, reader: foldr}",
    "data: {source: a, columns: {items: {title: txt}}}",
    "data: {source: a, filter: {min_user_interactions: 0}}",
    "data: {source: a, order: row}",
    "data: a\nname: 3",
    "data: a\nsplitt: leave_last",
    "data: a\nsplit: leave_lst",
    "data: a\nsplit: {name: leave_last, vald: 3}",
    "data: a\nsplit: {name: leave_last, valid: many}",
    "data: a\nsplit: {name: leave_last, valid: -1}",
    "data: a\nsplit: {name: leave_last, valid: '3'}",
    "data: a\nsplit: {name: leave_last, params: {valid: 3}, test: 1}",
    "data: a\nsplit: {valid: 3}",
    "data: a\nscenario: next_itm",
    "data: a\nengine: rya",
    "data: a\nengine: {cpus_per_trial: 0}",
    "data: a\nbudget: {time: soon}",
    "data: a\nbudget: {time: 0s}",
    "data: a\nbudget: {trials: '5'}",
    "data: a\nbudget: {trials: true}",
    "data: a\nmask_seen: 1",
    "data: a\nseed: -1",
    "data: a\nobjective: ndcg",
    "data: a\nobjective: mae@10",
    "data: a\nmetrics: [ndgc@10]",
    "data: a\nmetrics: [ndcg@0]",
    "data: a\nmetrics: ndcg@10",
    "data: a\nspace: defualt",
    "data: a\nspace: {model.ease.l3: 3}",
    "data: a\noverrides: {model.eese.l2: 3}",
    "data: a\nplugins: [model.eese]",
    "data: a\nwithout: [modle.ease]",
]


@pytest.mark.parametrize("text", GOOD_PLANS)
def test_what_a_plan_may_hold_is_accepted_by_both(text, tmp_path):
    assert plan_loads(tmp_path / "plan.yaml", text) == (True, True)


@pytest.mark.parametrize("text", BAD_PLANS)
def test_what_a_plan_may_not_hold_is_refused_by_both(text, tmp_path):
    assert plan_loads(tmp_path / "plan.yaml", text) == (False, False)


PLUGIN = '''
"""Toy: a model of a third party."""
from typing import Annotated, Literal
from pydantic import Field
from recsmith.contracts.config import Config
from recsmith.contracts.domains import Float
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import ModelSpec

class ToyConfig(Config):
    strength: Annotated[float, Field(ge=0), Float(0.1, 9.0)] = 1.0  # how much it toys
    depth: Annotated[int | None, Field(ge=1)] = None
    weights: tuple[float, ...] = ()
    sign: Literal["plus", "minus"] = "plus"

def build(config, context):
    raise AssertionError

@hookimpl
def provide_models():
    return [ModelSpec(name="toy", api_version=1, build=build, training="closed_form", config=ToyConfig)]
'''


@pytest.fixture(scope="module")
def with_toy(tmp_path_factory):
    """The registry with a plugin that is not installed."""
    folder = tmp_path_factory.mktemp("toy")
    (folder / "toy_of_a_third_party.py").write_text(PLUGIN)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        yield load_plugins(points=[EntryPoint("model.toy", "toy_of_a_third_party", "recsmith")]).registry
    sys.modules.pop("toy_of_a_third_party")


@pytest.fixture(scope="module")
def toy_schema(with_toy):
    """The schema of its spaces, which takes a second to write."""
    return space_schema(with_toy)


def test_a_parameter_of_a_third_party_is_completed_with_its_comment_bounds_and_default(toy_schema):
    schema = toy_schema
    assert schema["properties"]["model.toy.strength"] == {"$ref": "#/$defs/model.toy/properties/strength"}
    strength = dict(schema["$defs"]["model.toy"]["properties"]["strength"])
    strength.pop("$ref")
    assert strength == {
        "description": "how much it toys. From 0.1 to 9",
        "default": 1.0,
        "defaultSnippets": [{"label": "low: 0.1, high: 9.0", "body": {"low": 0.1, "high": 9.0}}],
    }
    assert schema["$defs"]["model"]["anyOf"][2]["properties"]["toy"]["description"] == "Toy: a model of a third party."


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("strength: 0", True),
        ("strength: -1", False),
        ("strength: {low: -1, high: 3}", False),
        ("depth: null", True),
        ("depth: [null, 3]", False),
        ("depth: {low: 1, high: 3}", True),
        ("depth: {low: null, high: 3}", False),
        ("depth: {low: 0.5, high: 3}", False),
        ("weights: [1, 1]", True),
        ("weights: 1", False),
        ("sign: minus", True),
        ("sign: [plus, minus]", True),
        ("sign: mins", False),
        ("sign: {low: 1, high: 2}", False),
    ],
)
def test_bounds_types_and_literals_of_a_third_party_hold_in_both(with_toy, toy_schema, text, allowed):
    content = {f"model.toy.{name}": value for name, value in read(text).items()}
    tree = grow_for_any_log(with_toy)
    try:
        narrowed(tree, [Document("mine.yaml", content)], {})
        loads = True
    except SpaceError:
        loads = False
    assert (loads, jsonschema.Draft202012Validator(toy_schema).is_valid(content)) == (allowed, allowed)


def test_with_a_log_only_its_columns_and_the_encoders_of_their_roles_are_allowed():
    schema = space_schema(REGISTRY, {"items": {"title": "text", "a.b": "category"}, "users": {}})
    known = jsonschema.Draft202012Validator(schema)
    place = "model.content_knn.content.encoders"
    tried = {name: known.is_valid({f"{place}.{name}": "tfidf"}) for name in ("title", "titel", "a_b", "*")}
    assert tried == {"title": True, "titel": False, "a_b": False, "*": False}
    assert known.is_valid({f"{place}.a_b": "category"})
    assert f"{place}.title.tfidf.components" in schema["properties"]


def test_the_command_prints_both_schemas(capsys, monkeypatch, tmp_path):
    (tmp_path / "interactions.csv").write_text("user_id,item_id,timestamp\nu1,i1,1\nu2,i2,2\nu1,i2,3\n")
    (tmp_path / "items.csv").write_text("item_id,genre\ni1,a|b\ni2,b\n")
    printed = []
    for arguments in ((), ("--plan",), ("--data", str(tmp_path))):
        monkeypatch.setattr(sys, "argv", ["recsmith", "spaces", "schema", *arguments])
        with pytest.raises(SystemExit):
            main()
        printed.append(json.loads(capsys.readouterr().out))
    assert printed[:2] == [SPACE.schema, PLAN.schema]
    assert "model.content_knn.content.encoders.genre" in printed[2]["properties"]
