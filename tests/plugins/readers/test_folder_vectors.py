"""Vectors in `.npy` files beside a folder's tables: row k of the array is the vector of row k of the table."""

import pickle

import numpy as np
import pytest

from recsmith.contracts.errors import DataError
from recsmith.contracts.plan import DataPlan
from recsmith.data.dataset import load_dataset
from recsmith.wiring.plugins import installed, load_plugins

ROWS = np.array([[1, 2, 3], [4, 5, 6], [7, 8, 9]])  # of the items z, x, y in the order of the file


@pytest.fixture(scope="module")
def registry():
    return load_plugins(only=[point.name for point in installed() if point.name.startswith("reader.")]).registry


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "interactions.csv").write_text("user_id,item_id\na,x\na,z\nb,x\nb,w\n")
    (tmp_path / "items.csv").write_text("item_id,kind\nz,big\nx,small\ny,small\n")
    return tmp_path


def load(registry, folder, **plan):
    return load_dataset(DataPlan(source=str(folder), **plan), registry)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", ">f4", "int8", "uint16", "int64"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_each_row_goes_to_the_item_of_its_row_as_float32(registry, folder, dtype, order):
    np.save(folder / "items.clip.b32.npy", np.asarray(ROWS, dtype, order=order))
    dataset = load(registry, folder)
    assert dataset.item_ids.tolist() == ["w", "x", "y", "z"]
    column = next(column for column in dataset.items if column.name == "clip.b32")
    assert (column.role, column.values.dtype) == ("vector", np.float32)
    assert column.values.tolist() == [[0, 0, 0], [4, 5, 6], [7, 8, 9], [1, 2, 3]]  # w is not in the table


def test_users_have_vectors_too_and_one_number_a_row_is_a_vector_of_one(registry, folder):
    (folder / "users.tsv").write_text("user_id\tage\nb\t30\na\t40\n")
    np.save(folder / "users.taste.npy", np.array([0.5, -1.5]))
    np.save(folder / "users.wide.npy", np.eye(2))
    assert {column.name: column.values.tolist() for column in load(registry, folder).users} == {
        "age": [40, 30],
        "taste": [[-1.5], [0.5]],
        "wide": [[0, 1], [1, 0]],
    }


def test_other_files_are_left_alone(registry, folder):
    for name in ("items.npy", "interactions.x.npy", "items..npy", "items.x.npy.bak", "kg.npy"):
        (folder / name).write_bytes(b"no array")
    (folder / "items.folder.npy").mkdir()
    assert [column.name for column in load(registry, folder).items] == ["kind"]


def npz(path):
    with path.open("wb") as stream:
        np.savez(stream, a=ROWS, b=ROWS)


def cut_short(path):
    np.save(path, ROWS)
    path.write_bytes(path.read_bytes()[:-1])


class Bomb:
    """A pickle that leaves a mark where it is opened."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return open, (str(self.mark), "w")


BAD = {
    "too few rows": (lambda path: np.save(path, ROWS[:2]), "2 vectors, but items.csv has 3 rows"),
    "three dimensions": (lambda path: np.save(path, np.ones((3, 2, 2))), r"shape \(3, 2, 2\)"),
    "one number": (lambda path: np.save(path, np.float32(1)), r"shape \(\)"),
    "no number": (lambda path: np.save(path, np.ones((3, 0))), r"shape \(3, 0\)"),
    "NaN": (lambda path: np.save(path, np.where(ROWS == 5, np.nan, ROWS)), "row 2: the vector holds NaN"),
    "infinity": (lambda path: np.save(path, np.where(ROWS == 9, -np.inf, ROWS)), "row 3: .* infinity"),
    "beyond float32": (lambda path: np.save(path, np.where(ROWS == 1, 1e300, ROWS)), "row 1: .* beyond float32"),
    "texts": (lambda path: np.save(path, ROWS.astype(str)), "not numbers"),
    "complex": (lambda path: np.save(path, ROWS * 1j), "complex128, not numbers"),
    "truth values": (lambda path: np.save(path, ROWS > 4), "bool, not numbers"),
    "several arrays": (npz, r"no readable \.npy file"),
    "cut short": (cut_short, r"no readable \.npy file"),
    "cut in the header": (lambda path: path.write_bytes(b"\x93NUMPY\x01\x00v\x00{'descr'"), r"no readable \.npy file"),
    "damaged header": (
        lambda path: path.write_bytes(b"\x93NUMPY\x01\x00\x10\x00{'descr': ((((\n"),
        r"no readable \.npy file",
    ),
    "empty": (lambda path: path.write_bytes(b""), r"no readable \.npy file"),
}


@pytest.mark.parametrize("name", BAD)
def test_an_array_that_does_not_fit_is_refused_with_its_file(registry, folder, name):
    write, says = BAD[name]
    path = folder / "items.clip.npy"
    write(path)
    with pytest.raises(DataError, match=says) as caught:
        load(registry, folder)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("bare", [True, False])
def test_a_pickle_is_never_opened(registry, folder, bare):
    path, mark = folder / "items.clip.npy", folder / "mark"
    if bare:
        path.write_bytes(pickle.dumps(Bomb(mark)))
    else:
        np.save(path, np.array([[Bomb(mark)]] * 3, object), allow_pickle=True)
    with pytest.raises(DataError, match=r"items\.clip\.npy: this is no readable \.npy file of numbers"):
        load(registry, folder)
    assert not mark.exists()


def test_vectors_need_their_table(registry, folder):
    np.save(folder / "users.taste.npy", ROWS)
    with pytest.raises(DataError, match=r"users\.taste\.npy: there are no users .* Put users\.csv"):
        load(registry, folder)


@pytest.mark.parametrize("column", ["kind", "item_id"])
def test_a_column_is_named_once(registry, folder, column):
    np.save(folder / f"items.{column}.npy", ROWS)
    with pytest.raises(DataError, match=rf"items\.{column}\.npy: items\.csv has a column '{column}' too"):
        load(registry, folder)


def test_a_large_file_keeps_its_numbers(registry, folder):
    """Item i has its own vector; the ids sort otherwise than the rows of the file."""
    size = 3000
    (folder / "items.csv").write_text("item_id,kind\n" + "".join(f"i{k},a\n" for k in range(size)))
    (folder / "interactions.csv").write_text("user_id,item_id\na,i1\na,i2\nb,i2\nb,i30\n")
    values = np.random.default_rng(0).normal(size=(size, 64)).astype(np.float16)
    np.save(folder / "items.e.npy", values)
    dataset = load(registry, folder)
    column = next(column for column in dataset.items if column.name == "e")
    row = [int(name[1:]) for name in dataset.item_ids]
    assert np.array_equal(column.values, values[row].astype(np.float32))
