"""RecBole's atomic files: `.inter` and, where there are, `.item` and `.user`, with `name:type` headers."""

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

TYPES = ("token", "float", "token_seq", "float_seq")


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # the system refuses the name: it is too long, say
        return False


def _folder_has_interactions(folder: Path) -> bool:
    return any(folder.glob("interactions.*"))


def matches(source: object) -> bool:
    """Whether `source` is an `.inter` file, or a folder that holds one and no `interactions.*`."""
    if not isinstance(source, (str, Path)):
        return False
    path = Path(source)
    if _is_folder(path):
        return any(path.glob("*.inter")) and not _folder_has_interactions(path)
    return path.name.lower().endswith((".inter", ".inter.gz"))


class RecBoleReader:
    """Reads the files of one data set; a `token_seq` becomes its tokens joined by `|`."""

    def __init__(self, table: Reader) -> None:
        self.table = table

    def read(self, source: str | Path) -> RawTables:
        """The tables of the data set.

        Raises:
            DataError: the folder holds several data sets, the file is none of RecBole's by its name, or a header is not
                of the form `name:type`.
        """
        inter = _inter(Path(source))
        stem, packed = _parts(inter)
        frames, paths = {"interactions": self._frame(inter)}, {"interactions": inter}
        for name, ending in (("items", ".item"), ("users", ".user")):
            found = [
                path for path in (inter.with_name(f"{stem}{ending}{end}") for end in (packed, "")) if path.is_file()
            ]
            if found:
                frames[name], paths[name] = self._frame(found[0]), found[0]
        return RawTables(
            frames["interactions"],
            frames.get("items"),
            frames.get("users"),
            base=inter.parent.resolve(),
            origin={name: str(path) for name, path in paths.items()},
        )

    def _frame(self, path: Path) -> pd.DataFrame:
        frame = self.table.read(path).interactions
        names = {}
        for header in frame.columns:
            name, _, kind = str(header).rpartition(":")
            if not name or kind not in TYPES:
                raise DataError(
                    f"{path}: line 1: column {header!r} should be written name:type, with a type of {', '.join(TYPES)}."
                )
            if kind == "token_seq":
                frame[header] = frame[header].str.split().str.join("|")
            names[header] = name
        frame = frame.rename(columns=names)
        twins = frame.columns[frame.columns.duplicated()]
        if len(twins):
            raise DataError(f"{path}: line 1 names the column {twins[0]!r} twice. Rename one of them.")
        return frame


def _parts(inter: Path) -> tuple[str, str]:
    """What stands before and after ".inter" in the name of a file."""
    place = inter.name.lower().rfind(".inter")
    if place < 0:
        raise DataError(f"{inter}: the name does not end in .inter or .inter.gz, as those of RecBole's files do.")
    return inter.name[:place], inter.name[place + len(".inter") :]


def _inter(path: Path) -> Path:
    if not _is_folder(path):
        return path
    found = sorted(path.glob("*.inter"))
    if len(found) != 1:
        names = ", ".join(one.name for one in found) or "none"
        raise DataError(f"{path}: the folder should hold one .inter file, it holds {names}. Name the file instead.")
    return found[0]


def example(folder: Path, interactions: pd.DataFrame) -> Path:
    """A folder that the reader reads."""
    types = {"user_id": "token", "item_id": "token"}
    named = interactions.rename(columns={name: f"{name}:{types.get(name, 'float')}" for name in interactions.columns})
    named.to_csv(folder / "example.inter", sep="\t", index=False)
    return folder


def build(config: Config, context: BuildContext) -> RecBoleReader:
    """A reader that reads each file as tab-separated text without quoting."""
    return RecBoleReader(context.part("readers", Choice(name="table", params={"separator": "\t", "quoting": False})))


@hookimpl
def provide_readers() -> list[ReaderSpec]:
    """The reader `recbole`."""
    return [
        ReaderSpec(
            name="recbole",
            api_version=1,
            build=build,
            matches=matches,
            example=example,
            source="https://recbole.io/docs/user_guide/data/atomic_files.html",
        )
    ]
