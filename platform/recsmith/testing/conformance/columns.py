"""Columns of every role to encode, and what is asked of the features that come of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

import numpy as np
from scipy import sparse

from recsmith.contracts.data import Column, FeatureMatrix, FloatArray, Role
from recsmith.testing.conformance.subject import expect
from recsmith.testing.media import group_picture, group_sound

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy.typing as npt

ROLES: tuple[Role, ...] = get_args(Role)
ROWS = 20
MISSING = 3  # the place of the missing value
FIRST_MOMENT = 1.6e9  # Unix seconds
GROUPS = 4

TEXTS = ("red shoes for running", "blue shoes in the rain", "a red hat, a blue hat", "running in the rain")
STRANGE_TEXTS = ("quite other words", "", "  ", "?!", "読む книга 📚", "word " * 2_000, "red", "1 2 3", "\n", "shoes")
CATEGORIES = (("drama", "war"), ("drama",), ("comedy", "war"), ("comedy",))


def column_of(role: Role, folder: Path) -> Column:
    """ROWS values of a role, each but an id several times; the one at MISSING is missing. Media go to `folder`."""
    numbers = np.arange(float(ROWS))
    values: dict[Role, Any] = {
        "id": lambda: _objects([f"id {number}" for number in range(ROWS)]),
        "category": lambda: _objects([f"kind {number % GROUPS}" for number in range(ROWS)]),
        "categories": lambda: _objects([CATEGORIES[number % GROUPS] for number in range(ROWS)]),
        "number": lambda: 0.1 * numbers**2,
        "time": lambda: FIRST_MOMENT + 4e6 * numbers,
        "text": lambda: _objects([TEXTS[number % GROUPS] for number in range(ROWS)]),
        "image": lambda: _media("image", folder, seed=0),
        "audio": lambda: _media("audio", folder, seed=0),
        "vector": lambda: np.random.default_rng(0).normal(size=(ROWS, 4)).astype(np.float32),
    }
    return _with_missing(Column(role, role, values[role]()))


def unseen_of(role: Role, folder: Path) -> Column:
    """ROWS values that `column_of` does not hold, strange ones among them; none is missing."""
    numbers = np.linspace(-1.0, 1.0, ROWS)
    values: dict[Role, Any] = {
        "id": lambda: _objects([f"new {number}" for number in range(ROWS)]),
        "category": lambda: _objects(["", *(f"other {number}" for number in range(1, ROWS))]),
        "categories": lambda: _objects([(), ("western",), ("drama", "noir"), ("war", "war")] * (ROWS // 4)),
        "number": lambda: 1e9 * numbers,
        "time": lambda: FIRST_MOMENT + 4e9 * numbers,
        "text": lambda: _objects([*STRANGE_TEXTS, *STRANGE_TEXTS[::-1]]),
        "image": lambda: _media("image", folder, seed=1),
        "audio": lambda: _media("audio", folder, seed=1),
        "vector": lambda: (100 * np.random.default_rng(1).normal(size=(ROWS, 4))).astype(np.float32),
    }
    return Column(role, role, values[role]())


def _objects(values: Sequence[object]) -> npt.NDArray[Any]:
    array = np.empty(len(values), object)
    array[:] = values
    return array


def _media(role: Role, folder: Path, seed: int) -> npt.NDArray[Any]:
    """Paths of pictures or sounds, GROUPS different files."""
    generator, paths = np.random.default_rng(seed), []
    for group in range(GROUPS):
        paths.append(folder / f"{seed}-{group}.{'png' if role == 'image' else 'wav'}")
        picture = role == "image"
        content = group_picture(group, GROUPS, generator) if picture else group_sound(group, generator)
        paths[-1].write_bytes(content)
    return _objects([str(paths[number % GROUPS]) for number in range(ROWS)])


def _with_missing(column: Column) -> Column:
    blank = None if column.values.dtype == object else 0.0 if column.role == "vector" else np.nan
    column.values[MISSING] = blank
    return column


# --- features ---------------------------------------------------------------------------------------------------------


def dense(features: FeatureMatrix) -> FloatArray:
    """The same numbers as a plain array."""
    numbers: FloatArray = features.toarray() if sparse.issparse(features) else np.asarray(features)
    return numbers


def expect_features(features: Any, rows: int, what: str) -> None:
    """See that `features` is a float32 matrix of so many rows without NaN and infinity.

    Raises:
        Violation: it is not.
    """
    kind = type(features).__name__
    known = isinstance(features, (np.ndarray, sparse.csr_array))
    expect(known, f"{what}: the features are a {kind}, neither a numpy array nor a scipy.sparse.csr_array")
    expect(features.ndim == 2, f"{what}: the features have the shape {features.shape}, not [rows, width]")  # noqa: PLR2004
    expect(features.shape[0] == rows, f"{what}: {features.shape[0]} rows of features for {rows} values")
    expect(features.dtype == np.float32, f"{what}: the features are {features.dtype}, not float32")
    expect_finite(features, what)


def expect_finite(features: FeatureMatrix, what: str) -> None:
    """See that no number is NaN or infinite.

    Raises:
        Violation: one is.
    """
    wrong = np.argwhere(~np.isfinite(dense(features)))
    expect(not len(wrong), f"{what}: row {_first(wrong)} holds NaN or infinity")


def _first(places: npt.NDArray[np.int64]) -> int:
    return int(places[0][0]) if len(places) else -1
