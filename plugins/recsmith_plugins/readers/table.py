"""One table in a file: CSV, TSV or Parquet, gzip-compressed or not."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from recsmith.contracts.config import Config
from recsmith.contracts.errors import DataError
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import RawTables, ReaderSpec

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from recsmith.contracts.plugins import BuildContext

SEPARATORS = {".csv": ",", ".tsv": "\t"}
OTHER_SEPARATORS = ",\t;|"
LONGEST_LINE = 1 << 22  # bytes; a longer one is no row of a table


class TableConfig(Config):
    """How the file is written."""

    separator: str | None = None  # None: by the file's name; given, the file is delimited text whatever its name
    quoting: bool = True  # a value in double quotes may hold separators and line ends


def form(path: Path) -> str:
    """The suffix that says what the file is, without `.gz`, in lower case."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    return next(iter([suffix for suffix in suffixes if suffix != ".gz"][-1:]), "")


def matches(source: object) -> bool:
    """Whether `source` is named like a table and is not a folder."""
    if not isinstance(source, (str, Path)):
        return False
    path = Path(source)
    try:
        return form(path) in {*SEPARATORS, ".parquet"} and not path.is_dir()
    except OSError:  # the system refuses the name: it is too long, say
        return False


class TableReader:
    """Reads a table as it stands: delimited text stays text, so the id "007" stays "007"."""

    def __init__(self, config: TableConfig) -> None:
        self.config = config

    def read(self, source: str | Path) -> RawTables:
        """The table as interactions.

        Raises:
            DataError: the file is missing, empty, damaged, or no table.
        """
        path = Path(source)
        try:
            if not path.is_file():
                raise DataError(f"{path}: there is no such file. Check the path.")
            if path.stat().st_size == 0:
                raise DataError(f"{path}: the file is empty. It should hold a header and one interaction a row.")
            table = self._table(path)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise DataError(
                f"{path}: the gzip data is damaged or cut short ({error}). Fetch the file again."
            ) from error
        except OSError as error:
            raise DataError(f"{path}: cannot be read: {error.strerror or error}.") from error
        if not table.num_rows:
            raise DataError(f"{path}: there is a header but no row below it.")
        frame: pd.DataFrame = table.to_pandas()
        return RawTables(frame, base=path.parent, origin={"interactions": str(path)})

    def _table(self, path: Path) -> pa.Table:
        if self.config.separator is None and form(path) == ".parquet":
            return _parquet(path)
        if self.config.separator is None and form(path) not in SEPARATORS:
            raise DataError(f"{path}: the name ends in none of .csv, .tsv, .parquet (or the same with .gz). Rename it.")
        return delimited(path, self.config.separator or SEPARATORS[form(path)], quoting=self.config.quoting)


def _open(path: Path) -> BinaryIO:
    return cast("BinaryIO", gzip.open(path)) if path.suffix.lower() == ".gz" else path.open("rb")


def _parquet(path: Path) -> pa.Table:
    with _open(path) as stream:
        try:
            table = pyarrow.parquet.read_table(io.BytesIO(stream.read()) if path.suffix.lower() == ".gz" else path)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise DataError(f"{path}: this is no readable Parquet file ({_brief(error)}).") from error
    _refuse_twins(path, table.column_names)
    return table


def delimited(path: Path, separator: str, *, quoting: bool) -> pa.Table:
    """Every column of a delimited file as text; an empty field is null."""
    with _open(path) as stream:
        names = _header(path, stream, separator, quoting=quoting)
        try:
            return _body(stream, names, separator, quoting=quoting)
        except pa.ArrowInvalid as error:
            if "Empty CSV file" in str(error):
                raise DataError(f"{path}: there is a header but no row below it.") from error
            raise DataError(_located(path, error, names, separator, quoting=quoting)) from error


def _header(path: Path, stream: BinaryIO, separator: str, *, quoting: bool) -> list[str]:
    line = stream.readline(LONGEST_LINE + 1)
    if len(line) > LONGEST_LINE:
        raise DataError(f"{path}: line 1 is longer than {LONGEST_LINE >> 20} MiB, so this is no table of rows.")
    if b"\0" in line:
        raise DataError(f"{path}: line 1 holds zero bytes: save the file as UTF-8 text.")
    text = _decoded(path, line, 1).removeprefix("\ufeff").strip("\r\n")
    if not text.strip():
        raise DataError(f"{path}: line 1 is blank. It should hold the names of the columns.")
    try:
        names = next(csv.reader([text], delimiter=separator)) if quoting else text.split(separator)
    except csv.Error as error:
        raise DataError(f"{path}: line 1 is no header: {error}.") from error
    if len(names) == 1:
        near = max(OTHER_SEPARATORS, key=text.count)
        hint = f" It looks separated by {near!r}, not by {separator!r}." if text.count(near) else ""
        raise DataError(f"{path}: line 1 holds one column only, {text[:80]!r}.{hint}")
    names = [name.strip() for name in names]
    _refuse_twins(path, names)
    return names


def _refuse_twins(path: Path, names: list[str]) -> None:
    twins = sorted({name for name in names if names.count(name) > 1})
    if twins:
        raise DataError(f"{path}: line 1 names the column {twins[0]!r} twice. Rename one of them.")


def _decoded(path: Path, line: bytes, number: int) -> str:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: line {number}, byte {error.start + 1}: not valid UTF-8. Save it as UTF-8.") from error


def _body(
    stream: BinaryIO,
    names: list[str],
    separator: str,
    *,
    quoting: bool,
    bad_row: Callable[[Any], str] | None = None,
) -> pa.Table:
    return pyarrow.csv.read_csv(
        stream,
        read_options=pyarrow.csv.ReadOptions(column_names=names, block_size=LONGEST_LINE, use_threads=bad_row is None),
        parse_options=pyarrow.csv.ParseOptions(
            delimiter=separator,
            quote_char='"' if quoting else False,
            newlines_in_values=quoting,
            invalid_row_handler=bad_row,
        ),
        convert_options=pyarrow.csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()), null_values=[""], strings_can_be_null=True
        ),
    )


def _located(path: Path, error: Exception, names: list[str], separator: str, *, quoting: bool) -> str:
    """Read again, slowly, to say where the first fault is."""
    if "UTF8" in str(error):
        with _open(path) as stream:
            for number, line in enumerate(stream, start=1):
                _decoded(path, line, number)
    if "straddling" in str(error):
        return f"{path}: a row is longer than {LONGEST_LINE >> 20} MiB. Is a quote left open, or a line end missing?"
    faults: list[Any] = []

    def note(row: Any) -> str:
        faults.append(row)
        return "skip"

    with _open(path) as stream:
        stream.readline()
        _body(stream, names, separator, quoting=quoting, bad_row=note)
    if not faults:
        return f"{path}: no readable table ({_brief(error)})."
    first = faults[0]
    return (
        f"{path}: row {first.number} below the header has {first.actual_columns} fields instead of "
        f"{first.expected_columns}: {first.text[:80]!r}."
    )


def _brief(error: Exception) -> str:
    return str(error).splitlines()[0][:120]


def example(folder: Path, interactions: pd.DataFrame) -> Path:
    """A file that the reader reads."""
    path = folder / "log.csv"
    interactions.to_csv(path, index=False)
    return path


def build(config: TableConfig, context: BuildContext) -> TableReader:
    """A reader with these settings."""
    return TableReader(config)


@hookimpl
def provide_readers() -> list[ReaderSpec]:
    """The reader `table`."""
    return [
        ReaderSpec(
            name="table",
            api_version=1,
            source="none: CSV, TSV and Parquet as pyarrow reads them",
            config=TableConfig,
            build=build,
            matches=matches,
            example=example,
        )
    ]
