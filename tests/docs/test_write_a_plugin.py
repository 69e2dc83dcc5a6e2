"""The model in docs/write_a_plugin.md is installed as its reader would, and competes."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from recsmith.contracts.config import Choice
from recsmith.contracts.plan import TrialPlan
from recsmith.study.trial import run_trial
from recsmith.testing.logs import cycle_fold
from recsmith.wiring.plugins import load_plugins

PAGE = Path(__file__).parents[2] / "docs/write_a_plugin.md"


@pytest.fixture
def registry(tmp_path, monkeypatch):
    """The registry with the distribution of the page on the path."""
    text = PAGE.read_text(encoding="utf-8")
    code = re.search(r"```python\n(.*?)```", text, re.DOTALL)[1]
    project = re.search(r"```toml\n(.*?)```", text, re.DOTALL)[1]
    name, module = re.search(r'^"(model\.\w+)" = "([\w.]+)"$', project, re.MULTILINE).groups()
    package, file = module.split(".")
    (tmp_path / package).mkdir()
    (tmp_path / package / f"{file}.py").write_text(code)
    (tmp_path / "recsmith_hitlist-0.1.0.dist-info").mkdir()
    metadata = tmp_path / "recsmith_hitlist-0.1.0.dist-info"
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: recsmith-hitlist\nVersion: 0.1.0\n")
    (metadata / "entry_points.txt").write_text(f"[recsmith]\n{name} = {module}\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield load_plugins().registry
    for loaded in [loaded for loaded in sys.modules if loaded.startswith(package)]:
        del sys.modules[loaded]


def test_the_model_of_the_page_learns_that_the_next_item_follows_the_last(registry, tmp_path):
    plan = TrialPlan(
        number=0,
        root=0,
        folder=str(tmp_path / "trial"),
        configuration=Choice(name="hitlist"),
        seed=0,
        scenario="next_item",
        objective="ndcg@10",
        metrics=("ndcg@10",),
    )
    result = run_trial(plan, cycle_fold(), registry, lambda _: True)
    assert result.value == pytest.approx(1.0)


def test_its_scores_survive_saving(registry):
    fold = cycle_fold()
    context = registry.context(item_counts=fold.train.counts, users=fold.train.users)
    model, other = (registry.build("models", Choice(name="hitlist"), context) for _ in range(2))
    model.fit(fold.train)
    other.load(model.state())
    requests = fold.holdout.requests
    assert (model.scores(requests) == other.scores(requests)).all()
