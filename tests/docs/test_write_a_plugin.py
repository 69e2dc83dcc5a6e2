"""The distribution that docs/write_a_plugin.md builds is written from the page alone, proved, and put to use."""

from __future__ import annotations

import json
import re
import sys
import tomllib
from pathlib import Path

import pytest

from recsmith.contracts.config import Choice
from recsmith.contracts.plan import TrialPlan
from recsmith.study.trial import run_trial
from recsmith.testing.conformance import checks_of, offered, run_check
from recsmith.testing.demo import demo_log
from recsmith.testing.logs import cycle_fold
from recsmith.wiring.plugins import load_plugins

PAGE = Path(__file__).parents[2] / "docs/write_a_plugin.md"
LOG = Path(__file__).parents[3] / "shared/data/ml-100k"
EMPTY = ("recsmith_trail/__init__.py", "")


def blocks(language):
    """The code blocks of the page in a language, each with the text before it."""
    parts = re.split(r"^```(\w*)\n(.*?)^```\n", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    fences = zip(parts[0::3], parts[1::3], parts[2::3], strict=False)
    return [(before, code) for before, found, code in fences if found == language]


def write(folder):
    """Every file that the page shows, where the line before its block says."""
    shown = [*blocks("python"), *blocks("toml")]
    for path, content in [*((re.findall(r"`([\w./]+)`", before)[-1], code) for before, code in shown), EMPTY]:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(content)


@pytest.fixture
def loaded(tmp_path, monkeypatch):
    """The distribution of the page beside the built-in ones, as an installer would lay it out."""
    write(tmp_path)
    project = tomllib.loads((tmp_path / "pyproject.toml").read_text())["project"]
    metadata = tmp_path / "recsmith_trail-0.1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    points = "\n".join(f"{name} = {module}" for name, module in project["entry-points"]["recsmith"].items())
    (metadata / "entry_points.txt").write_text(f"[recsmith]\n{points}\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield load_plugins()
    for name in [name for name in sys.modules if name.startswith("recsmith_trail")]:
        del sys.modules[name]


def test_everything_on_the_page_keeps_every_promise(loaded):
    offers = offered(loaded, "recsmith-trail")
    assert sorted(offers) == [
        ("encoders", "trigrams"),
        ("metrics", "rbp"),
        ("models", "trail"),
        ("samplers", "log_uniform"),
    ]
    outcomes = [run_check(loaded, kind, name, check) for kind, name in offers for check in checks_of(kind)]
    assert [outcome for outcome in outcomes if outcome.state == "broken"] == []


def test_the_model_of_the_page_learns_that_the_next_item_follows_the_last(loaded, tmp_path):
    plan = TrialPlan(
        number=0,
        root=0,
        folder=str(tmp_path / "study" / "trials" / "0"),
        configuration=Choice(name="trail"),
        seed=0,
        scenario="next_item",
        objective="ndcg@10",
        metrics=("ndcg@10", "rbp@10"),
    )
    result = run_trial(plan, cycle_fold(), loaded.registry, lambda _: True)
    assert result.value == pytest.approx(1.0)
    assert result.metrics["rbp@10"] == pytest.approx(0.2)


@pytest.mark.install
@pytest.mark.timeout(1200)
def test_the_page_followed_to_the_letter_ends_in_an_artifact_that_knows_what_it_needs(fresh_environment, tmp_path):
    write(tmp_path)
    if LOG.exists():
        (tmp_path / "shop").symlink_to(LOG)
    else:
        demo_log(tmp_path / "shop")
    environment = fresh_environment()

    def run(command, exit_code=0):
        return environment.run(command, cwd=tmp_path, exit_code=exit_code)

    _, *long_way = blocks("")
    for _, commands in long_way:
        for command in commands.splitlines():
            run(command)
    run("python -m pytest tests -p no:cacheprovider")
    found = json.loads(run("recsmith study show study --json").stdout)
    trials = [trial for trial in found["trials"] if trial["model"] == "trail" and trial["state"] == "complete"]
    assert trials
    assert {trial["state"] for trial in found["trials"]} <= {"complete", "pruned"}
    assert "rbp@10" in found["test"]
    print({trial["model"]: trial["metrics"]["ndcg@10"] for trial in found["trials"]})  # noqa: T201 - pytest -s shows it
    run(f"recsmith export study --trial {trials[0]['number']} -o exported")
    assert "verified" in run("recsmith verify exported").stdout
    run("pip uninstall -y recsmith-trail")
    refused = run("recsmith verify exported", exit_code=2).stderr
    assert refused.strip() == (
        "recsmith: exported: manifest.json: plugin 'model.trail' of recsmith-trail 0.1.0 is not installed: "
        "pip install 'recsmith-trail==0.1.0'."
    )
