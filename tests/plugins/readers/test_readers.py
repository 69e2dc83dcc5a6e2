"""Readers give tables back as they stand; each source has exactly one reader."""

import gzip

import pandas as pd
import pytest

from recsmith.contracts.config import Choice
from recsmith.wiring.plugins import installed, load_plugins

ROWS = [["u1", "007", "3.50"], ["u2", "8", None], ['u"3', "a,b", "line\nend"]]
FRAME = pd.DataFrame(ROWS, columns=["user_id", "item_id", "note"])


@pytest.fixture(scope="module")
def registry():
    names = [point.name for point in installed() if point.name.startswith("reader.")]
    return load_plugins(only=names).registry


def read(registry, name, source):
    return registry.build("readers", Choice(name=name), registry.context()).read(source)


def rows(frame):
    return frame.astype(object).where(frame.notna(), None).to_numpy().tolist()


@pytest.mark.parametrize("packed", ["", ".gz"])
@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet"])
def test_a_table_is_read_as_written(registry, tmp_path, suffix, packed):
    path = tmp_path / f"log{suffix}{packed}"
    if suffix == ".parquet":
        data = FRAME.to_parquet()
    else:
        data = FRAME.to_csv(index=False, sep="," if suffix == ".csv" else "\t").encode()
    path.write_bytes(gzip.compress(data) if packed else data)
    tables = read(registry, "table", path)
    assert list(tables.interactions.columns) == ["user_id", "item_id", "note"]
    assert rows(tables.interactions) == ROWS
    assert tables.origin["interactions"] == str(path)


def test_a_folder_gives_its_tables_and_leaves_other_files_alone(registry, tmp_path):
    (tmp_path / "interactions.tsv.gz").write_bytes(gzip.compress(b"user_id\titem_id\na\tb\n"))
    (tmp_path / "items.csv").write_text("item_id,t\nb,x\n")
    (tmp_path / "kg.csv").write_bytes(b"\xff")
    tables = read(registry, "folder", tmp_path)
    assert rows(tables.interactions) == [["a", "b"]]
    assert rows(tables.items) == [["b", "x"]]
    assert tables.users is None
    assert tables.base == tmp_path.resolve()


def test_recbole_files_lose_their_types_and_keep_their_quotes(registry, tmp_path):
    (tmp_path / "m.inter").write_text('user_id:token\titem_id:token\trating:float\n1\t"2\t3.0\n')
    (tmp_path / "m.item").write_text("item_id:token\tgenre:token_seq\tvec:float_seq\n2\tAction Drama\t0.1 0.2\n")
    for source in (tmp_path, tmp_path / "m.inter"):
        tables = read(registry, "recbole", source)
        assert rows(tables.interactions) == [["1", '"2', "3.0"]]
        assert list(tables.items.columns) == ["item_id", "genre", "vec"]
        assert rows(tables.items) == [["2", "Action|Drama", "0.1 0.2"]]


def test_a_table_from_python_is_taken_as_it_is(registry):
    assert read(registry, "dataframe", FRAME).interactions.equals(FRAME)


def test_each_source_has_one_reader(registry, tmp_path):
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
    (tmp_path / "a" / "interactions.csv").touch()
    (tmp_path / "b" / "x.inter").touch()
    for name in ("interactions.csv", "x.inter"):
        (tmp_path / "c" / name).touch()
    expected = {
        "log.csv": "table",
        "log.PARQUET.gz": "table",
        str(tmp_path / "a"): "folder",
        str(tmp_path / "b"): "recbole",
        str(tmp_path / "c"): "folder",
        str(tmp_path): "folder",
        "x.inter": "recbole",
    }
    found = {
        source: [name for name, spec in registry.specs["readers"].items() if spec.matches(source)]
        for source in expected
    }
    assert found == {source: [name] for source, name in expected.items()}
    assert [name for name, spec in registry.specs["readers"].items() if spec.matches(FRAME)] == ["dataframe"]
