"""Where a log says which domain its items are of, and what a study across domains sees of that."""

import numpy as np
import pandas as pd
import pytest

from recsmith.contracts.config import Choice
from recsmith.contracts.errors import DataError, PlanError
from recsmith.contracts.plan import Columns, DataPlan
from recsmith.contracts.plugins import RawTables
from recsmith.data.dataset import load_dataset
from recsmith.data.split import make_split


@pytest.fixture
def shops(frame):
    """The items i0 to i5 are books, the others films; what is worse is not said of every interaction."""
    kind = np.where(frame.item_id.isin([f"i{item}" for item in range(6)]), "book", "film")
    return frame.assign(domain=[None if row % 3 == 1 else name for row, name in enumerate(kind)])


def of(dataset):
    return dict(zip(dataset.item_ids, dataset.domain, strict=True))


EXPECTED = {f"i{item}": "book" if item < 6 else "film" for item in range(12)}


def test_a_column_called_domain_is_taken(load, shops):
    dataset = load(shops)
    assert of(dataset) == EXPECTED
    assert "domains" in dataset.capabilities
    assert any("domain = 'domain', guessed" in note for note in dataset.notes)


def test_another_column_may_be_named_in_the_log(load, shops):
    assert of(load(shops.rename(columns={"domain": "shop"}), columns=Columns(domain="shop"))) == EXPECTED


def test_whole_numbers_are_named_as_they_stand(load, frame):
    shop = frame.item_id.str[1:].astype(int) // 6
    dataset = load(frame.assign(shop=shop.where(shop.index % 4 > 0)), columns=Columns(domain="shop"))
    assert set(dataset.domain) == {"0", "1"}


def test_or_in_the_item_table(registry, frame):
    items = pd.DataFrame({"item_id": list(EXPECTED), "shop": list(EXPECTED.values())})
    plan = DataPlan(source="<dataframe>", columns=Columns(domain="shop"))
    assert of(load_dataset(plan, registry, RawTables(frame, items))) == EXPECTED


def test_an_item_is_of_the_domain_of_its_first_interaction(load):
    rows = [("u", "a", "x"), ("v", "a", "y"), ("u", "b", "y"), ("v", "b", "y")]
    frame = pd.DataFrame(rows, columns=["user_id", "item_id", "domain"])
    assert of(load(frame)) == {"a": "x", "b": "y"}


@pytest.mark.parametrize("name", [None, "none"])
def test_one_domain_or_none_wanted_is_no_domain(load, shops, name):
    log = shops.assign(domain="book") if name is None else shops
    dataset = load(log, columns=Columns(domain=name))
    assert dataset.domain is None
    assert "domains" not in dataset.capabilities


def test_a_column_that_names_one_domain_is_refused_where_the_plan_names_it(load, shops):
    with pytest.raises(DataError, match="'domain' names fewer than two domains"):
        load(shops.assign(domain="book"), columns=Columns(domain="domain"))


def test_a_column_that_is_nowhere_is_refused(load, shops):
    with pytest.raises(DataError, match="neither the log nor the item table has a column 'shop' of categories"):
        load(shops, columns=Columns(domain="shop"))


def test_a_study_ranks_the_items_of_the_target_domain(load, plan, registry, shops):
    split = make_split(
        load(shops),
        plan(scenario="cross_domain", split=Choice(name="cross_domain", params={"target": "film"})),
        registry,
    )
    split.sealed.release("the test asks")
    for fold in (split.search, split.sealed.open(), split.sealed.everything()):
        assert [EXPECTED[item] == "film" for item in fold.item_ids] == fold.candidates.tolist()
        assert {"domains", "target_domain"} <= fold.capabilities
        assert fold.candidates[fold.holdout.target_item].all()


def test_other_scenarios_have_the_whole_catalogue(load, plan, registry, shops):
    fold = make_split(load(shops), plan(), registry).search
    assert fold.candidates is None
    assert "target_domain" not in fold.capabilities


def test_a_log_without_domains_is_refused(load, plan, registry, frame):
    with pytest.raises(PlanError, match="split cross_domain: it needs domains"):
        make_split(load(frame), plan(scenario="cross_domain"), registry)


def test_domains_change_the_fingerprint(load, shops):
    swapped = shops.assign(domain=shops.domain.map({"book": "film", "film": "book"}))
    without = shops.drop(columns="domain")
    assert len({load(log).fingerprint for log in (shops, swapped, without)}) == 3


# --- a folder of several domains --------------------------------------------------------------------------------------


def written(folder, frame, *, items=True):
    for name in ("books", "films"):
        frame.to_csv(folder / f"interactions_{name}.csv", index=False)
        if items:
            pd.DataFrame({"item_id": ["i0", "i1"], "title": [name, "x"]}).to_csv(
                folder / f"items_{name}.csv", index=False
            )
    return DataPlan(source=str(folder))


def test_files_by_domain_are_one_log_whose_items_are_apart(registry, frame, tmp_path):
    dataset = load_dataset(written(tmp_path, frame), registry)
    assert len(dataset) == 2 * len(frame)
    assert len(dataset.user_ids) == 30
    assert of(dataset) == {f"{name}/i{item}": name for name in ("books", "films") for item in range(12)}
    titles = dict(zip(dataset.item_ids, dataset.items[0].values, strict=True))
    assert (titles["books/i0"], titles["films/i0"], titles["films/i2"]) == ("books", "films", None)


def test_a_file_by_domain_with_a_column_of_domains_is_refused(registry, frame, tmp_path):
    with pytest.raises(DataError, match=r"interactions_books.csv: there is a column 'domain'"):
        load_dataset(written(tmp_path, frame.assign(domain="a"), items=False), registry)


def test_a_file_by_domain_without_item_ids_is_refused(registry, frame, tmp_path):
    with pytest.raises(
        DataError, match=r"interactions_books.csv: a folder of several domains needs a column 'item_id'"
    ):
        load_dataset(written(tmp_path, frame.rename(columns={"item_id": "thing"}), items=False), registry)
