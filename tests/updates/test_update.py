"""`recsmith update` from an artifact and a newer log to the next artifact."""

import json
import random
import subprocess
import sys
import time

import pandas as pd
import pytest
from typer.testing import CliRunner

from recsmith.artifacts.files import digest
from recsmith.artifacts.load import load_artifact, verify
from recsmith.cli.main import app
from recsmith.contracts.errors import ArtifactError, DataError, PlanError, UpdateError
from recsmith.updates.settings import UpdateSettings
from recsmith.updates.update import update_artifact

GENTLE = UpdateSettings(epochs=2, anyway=True)  # whatever it is worth on so small a log


def invoked(*arguments):
    """The command in this process; a mistake that the user can mend is its `exception`."""
    return CliRunner().invoke(app, list(map(str, arguments)))


def contents(folder):
    return {str(path.relative_to(folder)): digest(path) for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def log(newer, tmp_path_factory):
    path = tmp_path_factory.mktemp("newer") / "newer.csv"
    newer.to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def updated(walked, newer, tmp_path_factory):
    """The artifact of a gradient model after an update, and what was said of it."""
    before = contents(walked)
    destination = tmp_path_factory.mktemp("updated") / "next"
    result = update_artifact(walked, "<dataframe>", destination, GENTLE, frame=newer)
    assert contents(walked) == before
    return destination, result


def test_new_users_and_items_are_known_and_histories_go_on(walked, updated, frame):
    """Oracle: the log itself."""
    old, new = load_artifact(walked), load_artifact(updated[0])
    assert not old.known_user("c69")
    assert new.known_user("c69")
    assert new.recommend(["c69"])[0].source == "model"
    assert "t28" in new.item_ids
    assert "t28" not in old.item_ids
    walk = frame[frame["customer"] == "c40"]
    row = new.user_ids.tolist().index("c40")
    learnt = list(new.item_ids[new.histories.of(row)])
    assert learnt == walk["thing"].tolist()[-len(learnt) :]


def test_the_manifest_names_the_parent_and_what_was_found(walked, updated, newer):
    destination, result = updated
    facts = verify(destination).facts
    assert facts.update == result.update
    assert facts.update.parent == verify(walked).sha256
    assert (facts.update.number, facts.update.ways, facts.refit) == (1, ("continued",), "all")
    assert facts.update.interactions == len(newer)
    assert facts.update.items == 2
    assert facts.metrics == result.metrics
    judged = facts.update.judged
    assert judged["all"].requests == judged["known"].requests + judged["new"].requests
    assert judged["all"].after == pytest.approx(facts.metrics["ndcg@10"].value)
    assert str(walked) not in (destination / "manifest.json").read_text()
    assert "Update 1" in (destination / "README.md").read_text()


def test_the_next_update_goes_on_from_there(updated, newer, tmp_path):
    late = newer.assign(when=newer["when"] + 400 * 86_400)
    result = update_artifact(updated[0], "<dataframe>", tmp_path / "third", GENTLE, frame=late)
    assert result.update.number == 2
    assert result.update.parent == verify(updated[0]).sha256


def test_equal_updates_give_equal_bytes(walked, updated, newer, tmp_path):
    update_artifact(walked, "<dataframe>", tmp_path / "again", GENTLE, frame=newer)
    same = contents(tmp_path / "again")
    known = contents(updated[0])
    for name in ("manifest.json", "README.md"):  # they tell the seconds that it took
        same.pop(name)
        known.pop(name)
    assert same == known


def test_a_closed_form_is_fitted_anew_on_old_and_new_rows(linear, newer, frame, make, tmp_path):
    """Oracle: the same model learnt from the whole log at once."""
    update_artifact(linear, "<dataframe>", tmp_path / "next", GENTLE, frame=newer)
    rows = frame[~(frame["thing"].isin(["t28", "t29"]) & (frame.index < int(0.7 * len(frame))))]
    whole = make(tmp_path / "whole", rows, "ease", l2=10.0)
    assert verify(tmp_path / "next").facts.update.ways == ("refitted",)
    mine, theirs = load_artifact(tmp_path / "next").recommend(), load_artifact(whole).recommend()
    assert [answer.items for answer in mine] == [answer.items for answer in theirs]


def test_the_command_tells_its_figures_and_may_replace_the_artifact_itself(make, older, log, tmp_path):
    artifact = make(tmp_path / "artifact", older, "ease", l2=10.0)
    before = verify(artifact).sha256
    result = json.loads(invoked("update", artifact, log, "-o", artifact, "--forgetting", 1, "--json").stdout)
    assert result["update"]["parent"] == before
    assert verify(artifact).facts.update.number == 1
    assert [path.name for path in tmp_path.iterdir()] == ["artifact"]


def test_a_worse_update_is_refused_unless_told_so(walked, newer, tmp_path):
    """A learning rate that is ten times too high: what was known is lost."""
    ruin = UpdateSettings(rate=10.0, epochs=30, replay=0.0, forgetting=0.0)
    with pytest.raises(UpdateError, match=r"it (forgets|is worse).*Nothing is written; with --anyway it is"):
        update_artifact(walked, "new.csv", tmp_path / "next", ruin, frame=newer)
    assert list(tmp_path.iterdir()) == []
    told = ruin.model_copy(update={"anyway": True})
    result = update_artifact(walked, "new.csv", tmp_path / "next", told, frame=newer)
    assert result.update.refused
    assert verify(tmp_path / "next").facts.update.refused == result.update.refused


def test_a_closed_form_forgets_where_new_rows_do_harm_to_known_users(linear, frame, tmp_path):
    """1,500 new customers take things and those across the circle: right for them, wrong for those who walk."""
    last = frame["when"].max()
    rows = [
        (f"n{user}", f"t{(user + step) % 28}", last + user * 100 + step)
        for user in range(1500)
        for step in (0, 14, 5, 19)
    ]
    strange = pd.DataFrame(rows, columns=["customer", "thing", "when"])
    with pytest.raises(UpdateError, match=r"it forgets: on [0-9]+ known users' old rows ndcg@10 goes from"):
        update_artifact(linear, "new.csv", tmp_path / "next", frame=strange)


def test_a_closed_form_that_learns_more_of_the_same_forgets_nothing(linear, newer, tmp_path):
    """Both fits are judged on old rows that neither has learnt."""
    result = update_artifact(linear, "new.csv", tmp_path / "next", GENTLE, frame=newer)
    assert result.update.forgetting.gain > -0.02
    assert result.update.forgetting.requests > 20


def test_every_member_of_an_ensemble_learns_and_they_stay_joined(joined, newer, tmp_path):
    result = update_artifact(joined, "new.csv", tmp_path / "next", GENTLE, frame=newer)
    assert result.update.ways == ("refitted", "continued")
    new = load_artifact(tmp_path / "next")
    assert [choice.name for choice in new.manifest.configurations] == ["ease", "bpr_mf"]
    assert new.ensemble.combiner is not None
    assert new.known_user("c69")


def test_the_newest_share_may_judge_instead(linear, newer, tmp_path):
    share = GENTLE.model_copy(update={"hold_out": 0.3})
    result = update_artifact(linear, "new.csv", tmp_path / "next", share, frame=newer)
    assert result.update.hold_out == "0.3"
    assert 0 < result.update.judged["all"].requests < newer["customer"].nunique()


def test_mistakes_are_told_in_a_sentence_and_write_nothing(walked, newer, tmp_path):
    alone = newer.assign(customer=[f"n{row}" for row in range(len(newer))])
    with pytest.raises(UpdateError, match="nobody can be judged: no user has both a held-out new row and another row"):
        update_artifact(walked, "new.csv", tmp_path / "next", GENTLE, frame=alone)
    with pytest.raises(DataError, match="no user column 'customer'"):
        update_artifact(walked, "new.csv", tmp_path / "next", GENTLE, frame=newer.rename(columns={"customer": "who"}))
    (tmp_path / "notes").mkdir()
    with pytest.raises(ArtifactError, match="exists and is no artifact"):
        update_artifact(walked, "new.csv", tmp_path / "notes", GENTLE, frame=newer)
    assert [path.name for path in tmp_path.iterdir()] == ["notes"]


def test_the_command_refuses_wrong_options(walked, log, tmp_path):
    out = ["-o", tmp_path / "next"]
    assert "--hold-out first" in str(invoked("update", walked, log, *out, "--hold-out", "first").exception)
    assert "only `data` can be set" in str(invoked("update", walked, log, *out, "--set", "seed=1").exception)
    assert list(tmp_path.iterdir()) == []


def test_a_refusal_is_one_sentence_and_exit_code_2(walked, log, tmp_path):
    program = [sys.executable, "-c", "from recsmith.cli.main import main; main()"]
    ruin = ["--rate", "10", "--epochs", "30", "--replay", "0", "--forgetting", "0"]
    run = [*program, "update", str(walked), str(log), "-o", str(tmp_path / "next"), *ruin]
    done = subprocess.run(run, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith(f"recsmith: {log}: it ")
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_share_needs_moments(make, older, newer, registry, tmp_path):
    """Of a log without any, the last row is one at random."""
    bare = [part.drop(columns="when") for part in (older, newer)]
    named = {"user": "customer", "item": "thing"}
    artifact = make(tmp_path / "bare", bare[0], "ease", columns=named, l2=10.0)
    with pytest.raises(PlanError, match="needs timestamps"):
        update_artifact(
            artifact, "new.csv", tmp_path / "next", GENTLE.model_copy(update={"hold_out": 0.2}), frame=bare[1]
        )
    assert update_artifact(artifact, "new.csv", tmp_path / "next", GENTLE, frame=bare[1]).update.number == 1


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_kill_9_at_any_moment_leaves_a_whole_artifact(make, older, log, tmp_path, seed):
    artifact = make(tmp_path / "artifact", older, "bpr_mf", training={"epochs": 3, "batch_size": 64})
    program = "from recsmith.cli.main import main; main()"
    arguments = ["update", artifact, log, "-o", artifact, "--forgetting", "1", "--anyway"]
    with subprocess.Popen([sys.executable, "-c", program, *map(str, arguments)]) as updating:
        if seed:  # while it writes, or before
            while not (tmp_path / ".artifact.new").exists() and updating.poll() is None:
                time.sleep(0.001)
        time.sleep(random.Random(seed).random() * (0.1 if seed else 3))  # noqa: S311 - no secret
        updating.kill()
    load_artifact(artifact)
