"""docs/hooks.md holds every hook, field and method of the contracts as it is, and its examples work."""

from __future__ import annotations

import ast
import json
import logging
import re
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pluggy
import pytest

from recsmith.contracts import hooks
from recsmith.contracts.config import Choice
from recsmith.contracts.plan import Plan
from recsmith.contracts.results import EpochReport, StudyResult, TrialResult
from recsmith.study.observers import tell
from recsmith.testing.conformance.suite import checks_of, run_check
from recsmith.wiring.plugins import load_plugins
from recsmith.wiring.registry import singular

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/hooks.md").read_text(encoding="utf-8")
CONTRACTS = ROOT / "platform/recsmith/contracts"
HEADING = re.compile(r"^### ((?:provide_)?\w+)\n", re.MULTILINE)
IN_THE_CATALOGUE = {"Training", "Tasks"}  # settings: the generated page has them


def blocks(language, text=PAGE):
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def hookspecs():
    manager = pluggy.PluginManager("recsmith")
    manager.add_hookspecs(hooks)
    return [name for name in vars(hooks) if isinstance(getattr(manager.hook, name, None), pluggy.HookCaller)]


def sections():
    """The text of each section that is headed by one word, by that word."""
    pieces = HEADING.split(PAGE)
    return dict(zip(pieces[1::2], (piece.partition("\n## ")[0] for piece in pieces[2::2]), strict=True))


HOOKS = hookspecs()
SECTIONS = sections()


def signatures(source):
    """Every function of a source by name, as text without body, docstring and decorators."""
    return {node.name: _bare(node) for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)}


def _bare(function):
    return f"({ast.unparse(function.args)}) -> {ast.unparse(function.returns)}"


def classes(source):
    """Every class of a source by name: its bases, fields with defaults and methods with annotations, in order."""
    return {node.name: _shape(node) for node in ast.parse(source).body if isinstance(node, ast.ClassDef)}


def _shape(node):
    members = [
        ast.unparse(member) if isinstance(member, ast.AnnAssign) else f"{member.name}{_bare(member)}"
        for member in node.body
        if isinstance(member, ast.AnnAssign) or (isinstance(member, ast.FunctionDef) and member.name != "__post_init__")
    ]
    return [ast.unparse(base) for base in node.bases], members


def test_every_hook_has_a_section_and_every_other_section_of_that_form_is_gone():
    assert set(HOOKS) == set(SECTIONS)


@pytest.mark.parametrize("hook", HOOKS)
def test_the_section_of_a_hook_says_its_exact_arguments(hook):
    written = signatures("\n".join(blocks("pyi", SECTIONS[hook])))
    meant = signatures((CONTRACTS / "hooks.py").read_text(encoding="utf-8"))
    assert {hook: meant[hook]} == written


def test_every_spec_and_protocol_stands_in_the_page_with_its_fields_and_methods():
    names = ("plugins.py", "models.py", "training.py", "tasks.py")
    sources = [(CONTRACTS / name).read_text(encoding="utf-8") for name in names]
    meant = {name: shape for source in sources for name, shape in classes(source).items()}
    meant = {name: shape for name, shape in meant.items() if name not in IN_THE_CATALOGUE}
    written = classes("\n".join(blocks("pyi")))
    assert meant == written


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    """The examples as modules of entry points, beside the built-in plugins."""
    folder, points = tmp_path_factory.mktemp("examples"), []
    for hook in HOOKS:
        (example,) = blocks("python", SECTIONS[hook])
        module = f"example_of_{hook}"
        (folder / f"{module}.py").write_text(example, encoding="utf-8")
        points.append(EntryPoint(f"example.{hook}", module, "recsmith"))
    sys.path.insert(0, str(folder))
    yield load_plugins(points=points)
    sys.path.remove(str(folder))
    for module in [name for name in sys.modules if name.startswith("example_of_")]:
        del sys.modules[module]


@pytest.mark.parametrize("hook", HOOKS)
def test_the_example_of_a_hook_is_taken_in(loaded, hook):
    (info,) = (info for info in loaded.found if info.name == f"example.{hook}")
    assert (info.state, info.reason) == ("active", "")


@pytest.mark.parametrize("hook", [hook for hook in HOOKS if hook.startswith("provide_")])
def test_the_example_of_a_provider_offers_one_thing_of_its_kind_that_keeps_every_promise(loaded, hook):
    offered = [key for key, origin in loaded.registry.origins.items() if origin == f"example.{hook}"]
    assert [hook.removeprefix("provide_")] == [kind for kind, _ in offered]
    (kind, name) = offered[0]
    broken = [
        outcome for check in checks_of(kind) if (outcome := run_check(loaded, kind, name, check)).state == "broken"
    ]
    assert "\n".join(f"{outcome.check}: {outcome.detail}" for outcome in broken) == ""


BEST = TrialResult(number=3, root=3, state="complete", configuration=Choice(name="ease"), value=0.1, seconds=1.0)
FACTS = {
    "study_started": {"plan": Plan(name="shop", data={"source": "shop/"})},
    "epoch_finished": {"trial": 3, "report": EpochReport(epoch=1, metrics={"ndcg@10": 0.1}, seconds=1.0)},
    "trial_finished": {"result": BEST},
    "study_finished": {
        "result": StudyResult(
            name="shop", folder="s", best=BEST, test={}, split_hash="", artifact="s/artifact", counts={}, seconds=1.0
        )
    },
    "artifact_saved": {"path": Path("s/artifact"), "manifest": {"files": {"README.md": {}}}},
}
HEARD = {
    "study_started": "shop aims at ndcg@10",
    "epoch_finished": "trial 3, epoch 1: {'ndcg@10': 0.1}",
    "trial_finished": "ease is complete: 0.1",
    "study_finished": "shop: ease, {}",
    "artifact_saved": "s/artifact holds 1 files",
}


@pytest.mark.parametrize("hook", [hook for hook in HOOKS if not hook.startswith("provide_")])
def test_the_example_of_an_observer_hears_what_happens(loaded, hook, caplog):
    with caplog.at_level(logging.INFO):
        tell(loaded.manager, hook, **FACTS[hook])
    assert [("notes", HEARD[hook])] == [(record.name, record.getMessage()) for record in caplog.records]


def test_the_example_of_a_model_counts_the_newest_interactions(loaded):
    from recsmith.testing.logs import cycle_fold

    fold = cycle_fold()
    context = loaded.registry.context(item_counts=fold.train.counts, users=fold.train.users)
    model = loaded.registry.build("models", Choice(name="trending", params={"newest": 1}), context)
    model.fit(fold.train)
    assert fold.train.users == model.scores(fold.holdout.requests)[0].sum()


def test_the_example_of_a_reader_reads_values_as_they_stand(loaded, tmp_path):
    rows = [{"user": "007", "item": "a", "timestamp": 978300760}, {"user": "2", "item": "b", "timestamp": 978300761}]
    log = tmp_path / "log.jsonl"
    log.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    read = loaded.registry.build("readers", Choice(name="json_lines"), loaded.registry.context()).read(log)
    assert rows == read.interactions.to_dict("records")
    spec = loaded.registry.spec("readers", "json_lines")
    assert (spec.matches("log.jsonl"), spec.matches("log.csv")) == (True, False)


def test_the_examples_that_no_check_covers_do_what_they_say(loaded, tmp_path):
    import numpy as np

    from recsmith.contracts.tasks import TaskUsers

    registry, context = loaded.registry, loaded.registry.context()
    users = TaskUsers(np.array([0, 2, 98]), lambda: np.zeros((3, 1)), lambda: np.zeros(3))
    drawn = registry.build("task_samplers", Choice(name="busy"), context).draw(users, 50, seed=0)
    assert np.bincount(drawn, minlength=3).argsort().tolist() == [0, 1, 2]
    (tmp_path / "artifact").mkdir()
    (tmp_path / "artifact/manifest.json").write_text('{"files": {}}')
    written = registry.build("exporters", Choice(name="zip"), context).export(
        tmp_path / "artifact", tmp_path / "out.zip"
    )
    assert (tmp_path / "out.zip", b"PK") == (written, written.read_bytes()[:2])


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", PAGE))))
def test_every_file_that_the_page_points_to_is_there(target):
    assert (ROOT / "docs" / target).exists()


def test_every_jump_within_the_page_arrives():
    headings = {heading.lower().replace(" ", "-") for heading in re.findall(r"^#+ (.+)$", PAGE, re.MULTILINE)}
    assert set(re.findall(r"\]\(#([^)]+)\)", PAGE)) <= headings


def test_every_hook_is_reached_from_the_top_of_the_page():
    top = PAGE.partition("\n## ")[0]
    assert {hook for hook in HOOKS if f"](#{hook})" in top} == set(HOOKS)


def test_every_kind_of_built_in_is_pointed_to(loaded):
    """Where there are built-in plugins of a kind, the section names at least one to read."""
    built_in = {info.name: info for info in loaded.found if info.distribution == "recsmith"}
    for kind in loaded.registry.specs:
        if any(name.startswith(f"{singular(kind)}.") for name in built_in):
            assert f"(../plugins/recsmith_plugins/{kind}/" in SECTIONS[f"provide_{kind}"], kind
