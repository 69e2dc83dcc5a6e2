"""A pandas table handed over from Python."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from recsmith.contracts.errors import DataError
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import RawTables, ReaderSpec

if TYPE_CHECKING:
    import pandas as pd

    from recsmith.contracts.config import Config
    from recsmith.contracts.plugins import BuildContext


def matches(source: object) -> bool:
    """Whether `source` is a pandas table; known by its name, so that pandas is not imported to ask."""
    kind = type(source)
    return kind.__name__ == "DataFrame" and kind.__module__.split(".")[0] == "pandas"


class DataFrameReader:
    """Takes the table as it is; media paths are relative to the working folder."""

    def read(self, source: pd.DataFrame) -> RawTables:
        """The table as interactions.

        Raises:
            DataError: the table has no row, or two columns of one name.
        """
        if not matches(source):
            raise DataError(f"{source}: the reader dataframe takes a pandas table from Python, not a path.")
        if not len(source):
            raise DataError("dataframe: the table has no row.")
        twins = source.columns[source.columns.duplicated()]
        if len(twins):
            raise DataError(f"dataframe: the column {twins[0]!r} is there twice. Rename one of them.")
        frame = source.rename(columns=str).reset_index(drop=True)
        return RawTables(frame, base=Path.cwd(), origin={"interactions": "dataframe"})


def example(folder: Path, interactions: pd.DataFrame) -> pd.DataFrame:
    """The table itself; nothing is written."""
    return interactions


def build(config: Config, context: BuildContext) -> DataFrameReader:
    """The reader; it has no settings."""
    return DataFrameReader()


@hookimpl
def provide_readers() -> list[ReaderSpec]:
    """The reader `dataframe`."""
    return [
        ReaderSpec(
            name="dataframe",
            api_version=1,
            source="none: the table itself",
            build=build,
            matches=matches,
            example=example,
        )
    ]
