"""A folder with `interactions.*` and, where there are, `items.*` and `users.*`; media files lie beside them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from recsmith.contracts.config import Choice, Config
from recsmith.contracts.errors import DataError
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import RawTables, ReaderSpec

if TYPE_CHECKING:
    import pandas as pd

    from recsmith.contracts.plugins import BuildContext, Reader

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


class FolderReader:
    """Reads up to three tables of a folder; other files are left alone."""

    def __init__(self, table: Reader) -> None:
        self.table = table

    def read(self, source: str | Path) -> RawTables:
        """The tables of the folder.

        Raises:
            DataError: there are no interactions, or two files claim to be one table.
        """
        folder = Path(source)
        interactions = self._one(folder, "interactions")
        if interactions is None:
            raise DataError(f"{folder}: the folder holds no interactions.csv, .tsv or .parquet (or the same with .gz).")
        items, users = self._one(folder, "items"), self._one(folder, "users")
        found = {"interactions": interactions, "items": items, "users": users}
        return RawTables(
            self._frame(interactions),
            None if items is None else self._frame(items),
            None if users is None else self._frame(users),
            base=folder.resolve(),
            origin={name: str(path) for name, path in found.items() if path is not None},
        )

    def _one(self, folder: Path, name: str) -> Path | None:
        paths = candidates(folder, name)
        if len(paths) > 1:
            names = " and ".join(path.name for path in paths)
            raise DataError(f"{folder}: {names} both claim to be the {name}. Leave one of them.")
        return paths[0] if paths else None

    def _frame(self, path: Path) -> pd.DataFrame:
        return self.table.read(path).interactions


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
