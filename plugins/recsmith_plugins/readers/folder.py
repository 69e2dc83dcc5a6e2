"""A folder with `interactions.*` and, where there are, `items.*` and `users.*`; media and vectors beside them.

Or with `interactions_NAME.*` of several domains, whose users are the same people and whose items are not.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.lib.format import open_memmap

from recsmith.contracts.config import Choice, Config
from recsmith.contracts.errors import DataError
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import RawTables, ReaderSpec

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

    from recsmith.contracts.plugins import BuildContext, Reader

DOMAIN, ITEM = "domain", "item_id"
APART = "interactions_"  # before the name of a domain
ENDINGS = tuple(f".{kind}{packed}" for kind in ("csv", "tsv", "parquet") for packed in ("", ".gz"))


def is_folder(path: Path) -> bool:
    """Whether a folder is there; not where the system refuses the name, as it does with a long text."""
    try:
        return path.is_dir()
    except OSError:
        return False


def candidates(folder: Path, name: str) -> list[Path]:
    """The files in `folder` that can be the table `name`."""
    if not is_folder(folder):
        return []
    return [path for path in (folder / f"{name}{ending}" for ending in ENDINGS) if path.is_file()]


def matches(source: object) -> bool:
    """Whether `source` is a folder that holds interactions, or at least no RecBole files."""
    if not isinstance(source, (str, Path)) or not is_folder(Path(source)):
        return False
    return bool(candidates(Path(source), "interactions")) or not any(Path(source).glob("*.inter"))


def domains(folder: Path) -> list[str]:
    """The names of the domains whose interactions stand in files of their own."""
    if not is_folder(folder):
        return []
    names = (path.name.removeprefix(APART).partition(".")[0] for path in folder.glob(f"{APART}?*"))
    return sorted({name for name in names if candidates(folder, APART + name)})


class FolderReader:
    """Reads up to three tables of a folder; other files are left alone."""

    def __init__(self, table: Reader) -> None:
        self.table = table

    def read(self, source: str | Path) -> RawTables:
        """The tables of the folder; `items.NAME.npy` and `users.NAME.npy` are one more column of vectors each.

        Raises:
            DataError: there are no interactions, two files claim to be one table, or vectors do not fit their table.
        """
        folder = Path(source)
        interactions = self._one(folder, "interactions")
        if interactions is None and domains(folder):
            return self._by_domain(folder, domains(folder))
        if interactions is None:
            raise DataError(f"{folder}: the folder holds no interactions.csv, .tsv or .parquet (or the same with .gz).")
        items, users = self._one(folder, "items"), self._one(folder, "users")
        found = {"interactions": interactions, "items": items, "users": users}
        return RawTables(
            self._frame(interactions),
            self._with_vectors(folder, "items", items),
            self._with_vectors(folder, "users", users),
            base=folder.resolve(),
            origin={name: str(path) for name, path in found.items() if path is not None},
        )

    def _by_domain(self, folder: Path, names: list[str]) -> RawTables:
        """The domains end to end, with a column `domain`, and its name before the ids of its items."""
        import pandas as pd

        found: dict[str, list[pd.DataFrame]] = {"interactions": [], "items": []}
        for name in names:
            for table, frames in found.items():
                path = self._one(folder, f"{table}_{name}")
                if path is not None:
                    frames.append(_of_domain(self._frame(path), name, path))
        users = self._one(folder, "users")
        origin = {table: f"{folder}/{table}_{{{','.join(names)}}}" for table, frames in found.items() if frames}
        return RawTables(
            pd.concat(found["interactions"], ignore_index=True),
            pd.concat(found["items"], ignore_index=True) if found["items"] else None,
            self._with_vectors(folder, "users", users),
            base=folder.resolve(),
            origin=origin if users is None else origin | {"users": str(users)},
        )

    def _one(self, folder: Path, name: str) -> Path | None:
        paths = candidates(folder, name)
        if len(paths) > 1:
            names = " and ".join(path.name for path in paths)
            raise DataError(f"{folder}: {names} both claim to be the {name}. Leave one of them.")
        return paths[0] if paths else None

    def _frame(self, path: Path) -> pd.DataFrame:
        return self.table.read(path).interactions

    def _with_vectors(self, folder: Path, name: str, path: Path | None) -> pd.DataFrame | None:
        """The table `name`, with a column for each of its files of vectors."""
        files = [file for file in sorted(folder.glob(f"{name}.?*.npy")) if file.is_file()]
        if path is None:
            if files:
                raise DataError(
                    f"{files[0]}: there are no {name} to which these vectors belong. Put {name}.csv, .tsv or .parquet "
                    "beside it, with a row for each vector."
                )
            return None
        frame = self._frame(path)
        for file in files:
            column = file.name.removeprefix(f"{name}.").removesuffix(".npy")
            if column in map(str, frame.columns):
                raise DataError(f"{file}: {path.name} has a column {column!r} too. Rename one of them.")
            rows = vectors(file)
            if len(rows) != len(frame):
                raise DataError(
                    f"{file}: {len(rows)} vectors, but {path.name} has {len(frame)} rows. Give each its own."
                )
            cells = np.empty(len(rows), object)
            for number, row in enumerate(rows):
                cells[number] = row
            frame[column] = cells
        return frame


def _of_domain(frame: pd.DataFrame, domain: str, path: Path) -> pd.DataFrame:
    """The table with its item ids as DOMAIN/ID and, where it is a log, a column `domain`."""
    if ITEM not in frame.columns:
        raise DataError(f"{path}: a folder of several domains needs a column {ITEM!r} in each of its tables.")
    if DOMAIN in frame.columns:
        raise DataError(f"{path}: there is a column {DOMAIN!r}, and the file's name says a domain too. Rename one.")
    ids = frame[ITEM]
    named = ids.astype(str).radd(f"{domain}/").where(ids.notna(), None)
    frame = frame.assign(**{ITEM: named})
    return frame.assign(**{DOMAIN: domain}) if path.name.startswith(APART) else frame


def vectors(path: Path) -> npt.NDArray[np.float32]:
    """The array of a `.npy` file as float32 [R, D]; one number a row, [R], is D = 1. Float32 stays on disk until used.

    Raises:
        DataError: the file is no array of finite numbers in rows.
    """
    try:
        with np.errstate(over="ignore"):
            stored = open_memmap(path, mode="r")  # never a pickle, which could run code
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}.") from error
    except Exception as error:  # a damaged header raises anything, TokenError among them
        raise DataError(f"{path}: this is no readable .npy file of numbers ({_brief(error)}).") from error
    if stored.dtype.kind not in "fiu":
        raise DataError(f"{path}: the array holds {stored.dtype}, not numbers. Save float32 or integers.")
    if stored.ndim not in (1, 2) or not stored.size:
        raise DataError(f"{path}: the array has the shape {stored.shape}. It should be rows x numbers.")
    with np.errstate(over="ignore"):  # a number too large for float32 is infinite, and told as such
        rows = np.ascontiguousarray(stored.reshape(len(stored), -1), np.float32)  # a plain array: cheap views
    finite = np.isfinite(rows).all(axis=1)
    if not finite.all():
        raise DataError(
            f"{path}: row {np.argmin(finite) + 1}: the vector holds NaN, infinity or a number beyond float32."
        )
    return rows


def _brief(error: Exception) -> str:
    return str(error).splitlines()[0][:120].rstrip(".") if str(error) else type(error).__name__


def example(folder: Path, interactions: pd.DataFrame) -> Path:
    """A folder that the reader reads."""
    interactions.to_csv(folder / "interactions.csv", index=False)
    return folder


def build(config: Config, context: BuildContext) -> FolderReader:
    """A reader that reads each file as the reader `table` does."""
    return FolderReader(context.part("readers", Choice(name="table")))


@hookimpl
def provide_readers() -> list[ReaderSpec]:
    """The reader `folder`."""
    return [
        ReaderSpec(
            name="folder",
            api_version=1,
            source="none: files by their names",
            build=build,
            matches=matches,
            example=example,
        )
    ]
