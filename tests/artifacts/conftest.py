"""A small artifact of real models, and what tests do to copies of it."""

import json
import shutil

import pytest

from recsmith.artifacts.files import digest, write_json
from recsmith.artifacts.manifest import seal
from recsmith.artifacts.save import ArtifactFacts, Combination, Member, save_artifact
from recsmith.contracts.config import Choice
from recsmith.contracts.results import Figure
from recsmith.testing.logs import groups_fold
from recsmith.wiring.plugins import load_plugins

PLUGINS = (
    "model.ease",
    "model.popularity",
    "model.bpr_mf",
    "model.content_knn",
    "encoder.tfidf",
    "encoder.category",
    "fuser.concatenate",
    "meta_learner.ridge_fold_in",
    "combiner.reciprocal_rank_fusion",
    "exporter.folder",
    "exporter.tar",
    "loss.bpr",
    "loss.sampled_softmax",
    "sampler.uniform",
    "sampler.popularity",
    "schedule.constant",
)


@pytest.fixture(scope="session")
def registry():
    return load_plugins(only=PLUGINS).registry


@pytest.fixture(scope="session")
def fold():
    return groups_fold()


@pytest.fixture(scope="session")
def facts():
    return ArtifactFacts(
        study="shop",
        trial=7,
        objective="ndcg@10",
        metrics={"ndcg@10": Figure(value=0.1 + 0.2, low=0.25, high=1 / 3)},
        split="leave_last",
        split_hash="ab" * 32,
        data_fingerprint="cd" * 32,
        seeds={"plan": 1, "trial": 8},
        search_trials=12,
        search_seconds=34.5,
    )


@pytest.fixture(scope="session")
def fit(registry, fold):
    """Fit a closed-form model on the fold's training rows."""

    def fitted(name, **params):
        choice = Choice(name=name, params=params)
        context = registry.context(item_counts=fold.train.counts, users=fold.train.users)
        model = registry.build("models", choice, context)
        model.fit(fold.train)
        return Member(choice, model.state())

    return fitted


@pytest.fixture(scope="session")
def save(registry, fold, facts, fit):
    """Save an artifact of the named models."""

    def saved(destination, *names, **changes):
        combination = Combination(combiner=Choice(name="reciprocal_rank_fusion")) if len(names) > 1 else None
        members = [fit(name) for name in names]
        about = facts.model_copy(update=changes)
        return save_artifact(destination, members, fold, registry, facts=about, combination=combination)

    return saved


@pytest.fixture(scope="session")
def original(tmp_path_factory, save):
    return save(tmp_path_factory.mktemp("artifacts") / "ease", "ease")


@pytest.fixture
def artifact(original, tmp_path):
    """A copy that a test may change."""
    return shutil.copytree(original, tmp_path / "artifact")


@pytest.fixture(scope="session")
def reseal():
    """Make a changed artifact's manifest agree with its files again, as somebody with intent would."""

    def resealed(folder, **changes):
        content = json.loads((folder / "manifest.json").read_text())
        content.update(changes)
        if "files" not in changes:
            paths = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != "manifest.json"]
            content["files"] = {
                path.relative_to(folder).as_posix(): {"size": path.stat().st_size, "sha256": digest(path)}
                for path in paths
            }
        write_json(folder / "manifest.json", {**content, "sha256": seal(content)})

    return resealed
