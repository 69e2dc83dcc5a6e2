"""Every bad source ends in a DataError or PlanError that names the file and the place, and nothing is written."""

import gzip
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import pytest

from recsmith.contracts.errors import DataError, PlanError, PluginError, RecsmithError
from recsmith.contracts.plan import DataPlan, Plan
from recsmith.data.dataset import load_dataset
from recsmith.data.split import make_split

HEAD = "user_id,item_id,rating,timestamp\n"
GOOD = HEAD + "".join(f"u{u},i{(u + k) % 5},{1 + k},{1000 + 10 * u + k}\n" for u in range(6) for k in range(4))
ITEMS = "item_id,title,price\n" + "".join(f"i{k},film {k} of many,{k}.5\n" for k in range(5))
SOME = "u1,i1,3,100\nu2,i2,4,101\nu1,i2,5,102\n"


@dataclass(frozen=True)
class Case:
    name: str
    files: dict[str, str | bytes | Callable[[Path], None]]
    says: tuple[str, ...]  # every part must stand in the sentence
    source: str = "log.csv"
    plan: dict[str, object] = field(default_factory=dict)
    study: dict[str, object] | None = None  # split as well, by this plan
    error: type[RecsmithError] = DataError


def log(rows: str, name: str, *says: str, head: str = HEAD, **plan: object) -> Case:
    return Case(name, {"log.csv": head + rows}, ("log.csv", *says), plan=plan)


def folder(name: str, *says: str, error: type[RecsmithError] = DataError, plan=None, study=None, **tables) -> Case:
    files = {f"data/{table}.csv": text for table, text in tables.items()}
    return Case(name, files, says, source="data", plan=plan or {}, study=study, error=error)


def columns(**roles: object) -> dict[str, object]:
    return {"columns": roles}


def no_parquet_rows(path: Path) -> None:
    pd.DataFrame({"user_id": pd.Series([], dtype=str), "item_id": pd.Series([], dtype=str)}).to_parquet(path)


def fractional_ids(path: Path) -> None:
    pd.DataFrame({"user_id": ["a", "b"], "item_id": [1.0, 2.5]}).to_parquet(path)


def ragged_vectors(path: Path) -> None:
    pd.DataFrame({"item_id": ["i0", "i1"], "shape": [[1.0, 2.0], [1.0]]}).to_parquet(path)


FILES = [
    Case("missing file", {}, ("log.csv", "no such file")),
    Case("missing folder", {}, ("nowhere", "no such file or folder"), source="nowhere"),
    Case("missing file of a named reader", {}, ("x.dat", "no such file"), source="x.dat", plan={"reader": "table"}),
    Case("empty file", {"log.csv": ""}, ("log.csv", "empty")),
    Case("blank first line", {"log.csv": "\n" + SOME}, ("log.csv", "line 1", "blank")),
    Case("header only", {"log.csv": HEAD}, ("log.csv", "no row")),
    Case("unknown suffix", {"log.xlsx": "x"}, ("log.xlsx", "no reader"), source="log.xlsx"),
    Case(
        "unknown reader", {"log.csv": GOOD}, ("no reader 'tabel'", "table"), plan={"reader": "tabel"}, error=PluginError
    ),
    Case("semicolons in a .csv", {"log.csv": GOOD.replace(",", ";")}, ("log.csv", "line 1", "';'")),
    Case("commas in a .tsv", {"log.tsv": GOOD}, ("log.tsv", "line 1", "','"), source="log.tsv"),
    Case("one column only", {"log.csv": "user_id\nu1\n"}, ("log.csv", "line 1", "one column")),
    Case("a column twice", {"log.csv": "user_id,item_id,item_id\na,b,c\n"}, ("log.csv", "line 1", "'item_id' twice")),
    Case("too many fields", {"log.csv": HEAD + SOME + "u3,i3,1,5,9\n"}, ("log.csv", "row 4", "5 fields instead of 4")),
    Case("too few fields", {"log.csv": HEAD + "u1,i1\n" + SOME}, ("log.csv", "row 1", "2 fields instead of 4")),
    Case(
        "invalid UTF-8", {"log.csv": (HEAD + SOME).encode() + b"u\xff,i,1,2\n"}, ("log.csv", "line 5, byte 2", "UTF-8")
    ),
    Case("invalid UTF-8 in the header", {"log.csv": b"user\xff,item\na,b\n"}, ("log.csv", "line 1, byte 5", "UTF-8")),
    Case("UTF-16", {"log.csv": GOOD.encode("utf-16-le")}, ("log.csv", "line 1", "zero bytes")),
    Case("one line of 10 MB", {"log.csv": "a," * 5_000_000}, ("log.csv", "line 1", "longer than 4 MiB")),
    Case("a row of 10 MB", {"log.csv": HEAD + SOME + "u" * 10_000_000}, ("log.csv", "row is longer than 4 MiB")),
    Case(
        "truncated gzip",
        {"log.csv.gz": gzip.compress((GOOD * 50).encode())[:-60]},
        ("log.csv.gz", "cut short"),
        "log.csv.gz",
    ),
    Case("no gzip inside", {"log.csv.gz": GOOD}, ("log.csv.gz", "gzip data is damaged"), "log.csv.gz"),
    Case("no Parquet inside", {"log.parquet": GOOD}, ("log.parquet", "no readable Parquet"), "log.parquet"),
    Case("Parquet without rows", {"log.parquet": no_parquet_rows}, ("log.parquet", "no row"), "log.parquet"),
    Case(
        "ids with a fraction",
        {"log.parquet": fractional_ids},
        ("log.parquet", "'item_id', row 2", "fraction"),
        "log.parquet",
    ),
    Case("a strange suffix", {"log.dat": GOOD}, ("log.dat", "ends in none"), "log.dat", {"reader": "table"}),
    Case("a file read as a folder", {"log.csv": GOOD}, ("log.csv", "no interactions"), plan={"reader": "folder"}),
    Case("a file read as a table in memory", {"log.csv": GOOD}, ("log.csv", "a path"), plan={"reader": "dataframe"}),
]
VALUES = [
    Case("no user column", {"log.csv": "who,item_id\na,b\n"}, ("log.csv", "no user column", "data.columns.user")),
    Case("no item column", {"log.csv": "user_id,thing\na,b\n"}, ("log.csv", "no item column", "data.columns.item")),
    log(SOME, "a named column is absent", "no timestamp column 'whn'", **columns(timestamp="whn")),
    log(SOME, "one column for user and item", "both user and item", **columns(user="user_id", item="user_id")),
    log(SOME + ",i3,1,103\n", "missing user id", "'user_id', row 4", "missing"),
    log(SOME + "u3,,1,103\n", "missing item id", "'item_id', row 4", "missing"),
    log(SOME + "u3,  ,1,103\n", "blank item id", "'item_id', row 4", "blank"),
    log(SOME + "u3,i3,good,103\n", "non-numeric rating", "'rating', row 4", "'good' is not a number"),
    log(SOME + "u3,i3,nan,103\n", "NaN rating", "'rating', row 4", "'nan' is not a number"),
    log(SOME + "u3,i3,-inf,103\n", "infinite rating", "'rating', row 4", "infinite"),
    log(SOME + "u3,i3,,103\n", "missing rating", "'rating', row 4", "missing"),
    log(SOME + "u3,i3,1,-5\n", "negative timestamp", "'timestamp', row 4", "before 1970"),
    log(SOME + "u3,i3,1,99999999999\n", "impossible timestamp", "'timestamp', row 4", "after the year 2099"),
    log(SOME + "u3,i3,1,soon\n", "unreadable timestamp", "'timestamp', row 4", "'soon' is not a timestamp"),
    log(SOME + "u3,i3,1,nan\n", "NaN timestamp", "'timestamp', row 4", "not a timestamp"),
    log(SOME + "u3,i3,1,inf\n", "infinite timestamp", "'timestamp', row 4", "not a timestamp"),
    log(SOME + "u3,i3,1,\n", "missing timestamp", "'timestamp', row 4", "missing"),
    log("u1,i1,3,2020-01-05\nu2,i2,4,2020-13-05\n", "impossible date", "'timestamp', row 2", "ISO date"),
    log("u1,i1,3,1950-01-05\nu2,i2,4,2020-01-05\n", "a date before 1970", "'timestamp', row 1", "before 1970"),
    log("u1,i1,3,1\nu1,i2,4,2\n", "one user only", "one user only"),
    log("u1,i1,3,1\nu2,i1,4,2\n", "one item only", "one item only"),
    log("u1,i1,view\nu2,i2,sale\n", "an event without weight", "'event', row 2", "'sale'", "weight",
        head="user_id,item_id,event\n", **columns(event_weights={"view": 1})),
    log("u1,i1,view\nu2,i2,\n", "a missing event", "'event', row 2", "missing", head="user_id,item_id,event\n"),
    log(SOME, "a filter that leaves nothing", "filter leaves none of 3", filter={"min_user_interactions": 9}),
    log("u1,i1\nu2,i2\n", "min_value without ratings", "min_value", head="user_id,item_id\n", filter={"min_value": 3}),
    log(SOME, "a context column that is not there", "'shop'", **columns(context={"shop": "category"})),
    Case("order of time without timestamps", {"log.csv": "user_id,item_id\na,b\nc,d\n"}, ("log.csv", "order: time"),
         plan={"order": "time"}, error=PlanError),
    Case("weights without events", {"log.csv": GOOD}, ("log.csv", "no event column"),
         plan=columns(event_weights={"view": 2}), error=PlanError),
    Case("a table from Python that was not given", {}, ("<dataframe>", "none was handed over"), source="<dataframe>"),
]  # fmt: skip
TABLES = [
    Case("a folder without interactions", {"data/items.csv": ITEMS}, ("data", "no interactions"), source="data"),
    Case("two files of interactions", {"data/interactions.csv": GOOD, "data/interactions.tsv": GOOD},
         ("data", "interactions.csv and interactions.tsv"), source="data"),
    folder("duplicate item ids", "items.csv", "rows 2 and 6", "'i1'", interactions=GOOD, items=ITEMS + "i1,again,1\n"),
    folder("duplicate user ids", "users.csv", "rows 1 and 2", "'u1'",
           interactions=GOOD, users="user_id,age\nu1,3\nu1,4\n"),
    folder("no id in the item table", "items.csv", "no item id column", interactions=GOOD, items="title,price\na,1\n"),
    folder("no item of the log in the table", "items.csv", "no item of",
           interactions=GOOD, items="item_id,a\nx,1\ny,2\n"),
    folder("an empty item table", "items.csv", "empty", interactions=GOOD, items=""),
    folder("an item column that is not there", "items.csv", "no column 'titel'", "'title'", interactions=GOOD,
           items=ITEMS, plan=columns(items={"titel": "text"})),
    folder("text as numbers", "items.csv", "'title', row 1", "not a number", interactions=GOOD, items=ITEMS,
           plan=columns(items={"title": "number"})),
    folder("text as time", "items.csv", "'title', row 1", "no date", interactions=GOOD, items=ITEMS,
           plan=columns(items={"title": "time"})),
    folder("text as vectors", "items.csv", "'title', row 1", "no vector", interactions=GOOD, items=ITEMS,
           plan=columns(items={"title": "vector"})),
    folder("pictures of which none is there", "items.csv", "'title', row 1", "not one of 5 files",
           interactions=GOOD, items=ITEMS,
           plan=columns(items={"title": "image"})),
    folder("roles without a table", "no users table", interactions=GOOD, plan=columns(users={"age": "number"}),
           error=PlanError),
    Case("vectors of two lengths", {"data/interactions.csv": GOOD, "data/items.parquet": ragged_vectors},
         ("items.parquet", "'shape', row 2", "1 numbers"), source="data"),
    Case("RecBole header without types", {"a.inter": "user_id\titem_id\nu\ti\n"},
         ("a.inter", "line 1", "name:type"), "a.inter"),
    Case("RecBole header of an unknown type", {"a.inter": "user_id:token\titem_id:int\nu\ti\n"},
         ("a.inter", "item_id:int"), "a.inter"),
    Case("two RecBole data sets", {"r/a.inter": "x", "r/b.inter": "x"}, ("r", "a.inter, b.inter"), source="r"),
]  # fmt: skip
SPLITS = [
    Case("nobody has three interactions", {"log.csv": HEAD + SOME}, ("log.csv", "0 of 2 users"), study={}),
    Case("all items unseen",
         {"log.csv": HEAD + "".join(f"u{u},i{3 * u + k},1,{u + 9 * k}\n" for u in (1, 2) for k in range(3))},
         ("log.csv", "unseen"), study={}),
    Case("ratings without ratings", {"log.csv": "user_id,item_id\na,b\nc,d\n"}, ("log.csv", "needs ratings"),
         study={"scenario": "rating"}),
    Case("no validation", {"log.csv": GOOD}, ("leave_last", "no validation"), error=PlanError,
         study={"split": {"name": "leave_last", "params": {"valid": 0}}}),
    Case("a time cut without timestamps", {"log.csv": "user_id,item_id\na,b\nc,d\n"},
         ("time_cut", "timestamps", "log.csv"),
         error=PlanError, study={"split": {"name": "time_cut"}}),
    Case("a split for another scenario", {"log.csv": GOOD}, ("cold_user", "next_item"), error=PlanError,
         study={"split": {"name": "cold_user"}}),
    Case("new items without an item table", {"log.csv": GOOD}, ("cold_item", "item_features"), error=PlanError,
         study={"scenario": "cold_item"}),
    Case("a stream without timestamps", {"log.csv": "user_id,item_id\na,b\nc,d\n"},
         ("time_cut", "timestamps", "log.csv"), error=PlanError, study={"scenario": "streaming"}),
    Case("another domain without domains", {"log.csv": GOOD}, ("cross_domain", "domains"), error=PlanError,
         study={"scenario": "cross_domain"}),
]  # fmt: skip
CASES = [*FILES, *VALUES, *TABLES, *SPLITS]


def use(plan, study, registry):
    dataset = load_dataset(plan, registry)
    if study is not None:
        make_split(dataset, Plan.model_validate({"data": plan, **study}), registry)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_bad_input_is_refused_with_a_located_sentence(case, tmp_path, registry):
    for name, content in case.files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        if isinstance(content, str):
            path.write_text(content)
        elif isinstance(content, bytes):
            path.write_bytes(content)
        else:
            content(path)
    before = sorted(tmp_path.rglob("*"))
    source = case.source if case.source.startswith("<") else str(tmp_path / case.source)
    plan = DataPlan.model_validate({"source": source, **case.plan})

    with pytest.raises(RecsmithError) as caught:
        use(plan, case.study, registry)

    message = str(caught.value)
    assert type(caught.value) is case.error
    assert [part for part in case.says if part not in message] == []
    assert len(message) < 600
    assert "\n" not in message
    assert sorted(tmp_path.rglob("*")) == before


def test_there_are_at_least_forty_cases():
    assert len(CASES) >= 40
    assert len({case.name for case in CASES}) == len(CASES)
