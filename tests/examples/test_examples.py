"""The worked examples, each installed as its own distribution into a fresh environment, compete and serve.

One example at a time: `pytest -m install tests/examples -k eigenrec`, and `-k jax_dae`, which fetches JAX.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from recsmith.testing.demo import demo_log

EXAMPLES = Path(__file__).parents[2] / "examples/plugins"
LINES = 120  # in all Python of one example, tests included
FRAMEWORKS = "import sys; print(sorted({'jax', 'optax', 'torch'} & set(sys.modules)))"


@dataclass(frozen=True)
class Example:
    """An example in the environment that it was installed into."""

    name: str  # of its model
    folder: Path
    environment: Any

    @property
    def distribution(self):
        return self.folder.name


@pytest.fixture(scope="module", params=["eigenrec", "jax_dae"])
def example(request, fresh_environment):
    environment, folder = fresh_environment(), EXAMPLES / f"recsmith-{request.param.replace('_', '-')}"
    online = request.param == "jax_dae"
    if online:
        probe = "pip download --quiet --retries 1 --timeout 20 --no-deps --dest . optax || echo unreachable"
        if "unreachable" in environment.run(["sh", "-c", probe], cwd=environment.bin, online=True).stdout:
            pytest.skip("the package index is not reachable, and this example needs JAX from it")
    environment.run(f"pip install --quiet --no-build-isolation --editable '{folder}'", online=online)
    return Example(request.param, folder, environment)


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    return demo_log(tmp_path_factory.mktemp("shop"), users=200, items=120)


@pytest.mark.parametrize("folder", sorted(EXAMPLES.iterdir()), ids=lambda folder: folder.name)
def test_an_example_takes_fewer_than_120_lines_of_python(folder):
    lines = sum(len(source.read_text(encoding="utf-8").splitlines()) for source in folder.rglob("*.py"))
    assert 0 < lines < LINES


@pytest.mark.install
@pytest.mark.timeout(600)
def test_it_is_listed_as_active_with_its_own_distribution_and_version(example):
    listed = json.loads(example.environment.run("recsmith plugins list --json").stdout)
    found = {plugin["name"]: (plugin["state"], plugin["distribution"], plugin["version"]) for plugin in listed}
    assert found[f"model.{example.name}"] == ("active", example.distribution, "0.1.0")


@pytest.mark.install
def test_its_spec_is_found_without_any_framework(example):
    code = f"""
from recsmith.wiring.plugins import load_plugins
assert load_plugins(only=["model.{example.name}"]).registry.spec("models", "{example.name}").training == "closed_form"
"""
    assert example.environment.run(["python", "-c", code + FRAMEWORKS]).stdout == "[]\n"


@pytest.mark.install
def test_it_wins_against_popularity_and_its_artifact_answers(example, shop, tmp_path):
    run = example.environment.run
    wanted = f"--set 'model=[{example.name}, popularity]' --trials 3 --set engine=inline --quiet"
    run(f"recsmith study run '{shop}' -o study {wanted}", cwd=tmp_path)
    told = json.loads(run("recsmith study show study --json", cwd=tmp_path).stdout)
    assert (told["state"], told["best"]["model"]) == ("finished", example.name)
    assert {(trial["model"], trial["state"]) for trial in told["trials"]} == {
        (example.name, "complete"),
        ("popularity", "complete"),
    }
    run("recsmith export study -o artifact", cwd=tmp_path)
    run("recsmith verify artifact", cwd=tmp_path)
    known = run("recsmith recommend artifact --user u0000 --user u0001 -k 5 --format json", cwd=tmp_path)
    new = run("recsmith recommend artifact --history i0000,i0006 -k 5 --format json", cwd=tmp_path)
    answers = [*json.loads(known.stdout), *json.loads(new.stdout)]
    assert [(answer["source"], len(answer["items"])) for answer in answers] == [("model", 5)] * 3
    serve = "from recsmith.artifacts.load import load_artifact; load_artifact('artifact').recommend(k=5); " + FRAMEWORKS
    assert run(["python", "-c", serve], cwd=tmp_path).stdout == "[]\n"  # serving needs the numbers only


@pytest.mark.install
def test_its_own_tests_pass(example):
    told = example.environment.run("python -m pytest -q -p no:cacheprovider", cwd=example.folder).stdout
    assert " passed" in told  # and the exit code is 0
