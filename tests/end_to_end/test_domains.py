"""A study across domains from files to answers, and one of new users and new items at once."""

import numpy as np
import pandas as pd
import pytest

from recsmith.artifacts.load import load_artifact
from recsmith.artifacts.verify import verify
from recsmith.contracts.errors import UpdateError
from recsmith.contracts.plan import Budget, DataPlan, Engine, Plan
from recsmith.contracts.plugins import RawTables
from recsmith.study.study import run_study
from recsmith.updates.update import update_artifact

SMALL = {"budget": Budget(trials=4), "engine": Engine(name="inline"), "seed": 1}


@pytest.fixture(scope="module")
def shops(tmp_path_factory):
    """Readers of four kinds of books, who also see films of the same kind; films are few."""
    rng = np.random.default_rng(0)
    folder = tmp_path_factory.mktemp("shops")
    for name, items, each in (("books", 80, 9), ("films", 40, 4)):
        rows = [
            (f"u{user}", int(item), 1_600_000_000 + int(moment))
            for user in range(120)
            for item, moment in zip(
                rng.permutation(np.arange(user % 4, items, 4))[:each], rng.integers(0, 10**6, each), strict=True
            )
        ]
        log = pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"])
        log.to_csv(folder / f"interactions_{name}.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def across(shops, tmp_path_factory):
    folder = tmp_path_factory.mktemp("across") / "study"
    space = {"model": ["popularity", "item_knn", "emcdr"]}
    plan = Plan(data=DataPlan(source=str(shops)), scenario="cross_domain", space=space, **SMALL)
    return run_study(plan, folder), folder / "artifact"


def test_what_is_carried_over_beats_popularity(across):
    result, _ = across
    assert result.best.configuration.name != "popularity"
    assert result.test["ndcg@10"].value > 0.4


def test_the_artifact_recommends_from_the_target_domain_to_those_who_only_read(across):
    _, path = across
    verify(path)
    recommender = load_artifact(path)
    assert recommender.manifest.facts.domain == "films"
    card = (path / "README.md").read_text()
    assert "Items of the domain 'films' are recommended" in card
    assert "recsmith update" not in card  # it would be refused
    known, new, nobody = recommender.recommend(
        ["u5", None, None], histories=[None, ["books/2", "books/6", "books/10"], None], k=8
    )
    for answer in (known, new, nobody):
        assert {item.split("/")[0] for item in answer.items} == {"films"}
    assert {int(item.split("/")[1]) % 4 for item in new.items[:5]} == {2}
    assert nobody.source == "popularity"


def test_an_artifact_of_one_domain_is_not_updated_with_the_rows_of_all(across, shops, tmp_path):
    _, path = across
    with pytest.raises(UpdateError, match="it recommends from one domain, which an update does not know"):
        update_artifact(path, shops, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_new_users_and_new_items_at_once(tmp_path):
    rng = np.random.default_rng(1)
    rows = [
        (f"u{user}", f"i{item}", 1_600_000_000 + 100 * user + place)
        for user in range(200)
        for place, item in enumerate(rng.permutation(np.arange(user % 4, 120, 4))[:14])
    ]
    log = pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"])
    items = pd.DataFrame(
        {"item_id": [f"i{item}" for item in range(120)], "kind": [f"k{item % 4}" for item in range(120)]}
    )
    space = {"model": ["content_knn", "ials_content"]}
    plan = Plan(data=DataPlan(source="<dataframe>"), scenario="both_cold", space=space, **SMALL)
    result = run_study(plan, tmp_path / "study", frame=RawTables(log, items))
    assert result.test["ndcg@10"].value > 0.5  # among 24 new items and 6 of the own kind
