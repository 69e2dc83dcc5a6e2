"""Every written distribution, installed for real: the next `plugins list` and the next study see it."""

import json

import pandas as pd
import pytest

from recsmith.testing.demo import demo_log
from recsmith.testing.scaffold import USES, write_distribution

KINDS = sorted(USES)
NAMES = {kind: f"own_{kind}" for kind in KINDS}
pytestmark = [pytest.mark.install, pytest.mark.timeout(480)]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    destination = tmp_path_factory.mktemp("written")
    return {kind: write_distribution(name, kind, destination) for kind, name in NAMES.items()}


@pytest.fixture(scope="module")
def fresh(written, fresh_environment):
    environment = fresh_environment()
    environment.run(["pip", "install", "--quiet", *(word for place in written.values() for word in ("-e", place))])
    return environment


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    return demo_log(tmp_path_factory.mktemp("shop"), users=80, items=60)


def settings(*pairs):
    return [word for pair in pairs for word in ("--set", pair)]


def studied(fresh, source, folder, *words):
    """What `study show` tells of a finished study."""
    usual = ("--trials", "2", "--engine", "inline", "--quiet")
    fresh.run(["recsmith", "study", "run", str(source), "-o", str(folder), *usual, *words])
    told = json.loads(fresh.run(["recsmith", "study", "show", str(folder), "--json"]).stdout)
    assert told["state"] == "finished"
    assert {trial["state"] for trial in told["trials"]} == {"complete"}
    return told


def test_all_of_them_are_listed_as_active_with_distribution_and_version(fresh):
    listed = {plugin["name"]: plugin for plugin in json.loads(fresh.run("recsmith plugins list --json").stdout)}
    expected = {
        f"{kind}.{name}": ("active", f"recsmith-{name.replace('_', '-')}", "0.1.0", "") for kind, name in NAMES.items()
    }
    facts = ("state", "distribution", "version", "reason")
    assert expected == {name: tuple(listed[name][fact] for fact in facts) for name in expected}


def test_a_study_of_a_log_in_the_new_form_learns_the_new_models_and_leaves_by_the_new_exporter(fresh, shop, tmp_path):
    log = tmp_path / "log.jsonl"
    pd.read_csv(shop / "interactions.csv").to_json(log, orient="records", lines=True)
    told = studied(
        fresh,
        log,
        tmp_path / "study",
        *settings(
            "model=[own_model, bpr_mf]",
            "model.bpr_mf.meta_learner=own_meta_learner",
            "model.bpr_mf.training.epochs=3",
            "model.bpr_mf.training.schedule=own_schedule",
            "model.bpr_mf.training.loss=own_loss",
            "model.bpr_mf.training.loss.own_loss.sampler=own_sampler",
        ),
    )
    assert {trial["model"] for trial in told["trials"]} == {"own_model", "bpr_mf"}
    assert all(trial["metrics"]["ndcg@10"] > 0 for trial in told["trials"])
    fresh.run("recsmith export study -o artifact.zip --format own_exporter", cwd=tmp_path)
    fresh.run("python -m zipfile -e artifact.zip .", cwd=tmp_path)
    fresh.run("recsmith verify artifact", cwd=tmp_path)


def test_a_study_of_content_uses_the_new_encoder_fuser_splitter_and_metric(fresh, shop, tmp_path):
    told = studied(
        fresh,
        shop,
        tmp_path / "study",
        *settings(
            "model=content_knn",
            "model.content_knn.content.encoders.title=own_encoder",
            "model.content_knn.content.fuser=own_fuser",
            "split=own_splitter",
            "objective=own_metric@10",
        ),
    )
    assert told["objective"] == "own_metric@10"
    assert all(trial["metrics"]["own_metric@10"] > 0 for trial in told["trials"])


def test_new_users_are_served_by_the_new_meta_learner(fresh, shop, tmp_path):
    told = studied(
        fresh,
        shop,
        tmp_path / "study",
        *("--scenario", "cold_user"),
        *settings("model=bpr_mf", "model.bpr_mf.meta_learner=own_meta_learner", "model.bpr_mf.training.epochs=3"),
    )
    assert all(trial["metrics"]["ndcg@10"] > 0 for trial in told["trials"])


def test_all_of_them_keep_their_promises_under_pytest(fresh, written):
    tests = [str(place / "tests") for place in written.values()]
    command = ["python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "--import-mode=importlib", *tests]
    assert "passed" in fresh.run(command).stdout
