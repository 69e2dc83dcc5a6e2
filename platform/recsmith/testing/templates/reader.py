"""JSON Lines: one interaction a line, as event logs and message queues write them, gzip-compressed or not."""

from __future__ import annotations

import gzip
import json
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from recsmith.contracts.config import Config
from recsmith.contracts.domains import Categorical
from recsmith.contracts.errors import DataError
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import BuildContext, RawTables, ReaderSpec

if TYPE_CHECKING:
    import pandas as pd

ENDINGS = (".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz")


class MyNameConfig(Config):
    """Settings."""

    torn_end: Annotated[bool, Categorical((False, True))] = False  # drop a last line that its writer did not finish


@dataclass(frozen=True)
class MyName:
    """Reads values as they stand: the id "007" stays "007", and a key that a line lacks is a missing value."""

    config: MyNameConfig

    def read(self, source: str | Path) -> RawTables:
        """The lines as interactions, in order; blank lines are passed over.

        Raises:
            DataError: the file cannot be read, holds no line, or a line is no JSON object.
        """
        import pandas as pd

        path = Path(source)
        try:
            with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as lines:
                rows = [row for number, line in enumerate(lines, start=1) if (row := self._row(line, number, path))]
        except (OSError, EOFError, zlib.error) as error:
            raise DataError(f"{path}: cannot be read: {error}.") from error
        if not rows:
            raise DataError(f"{path}: holds no interaction. Each line should be one as a JSON object.")
        return RawTables(pd.DataFrame(rows, dtype=object), base=path.parent, origin={"interactions": str(path)})

    def _row(self, line: bytes, number: int, path: Path) -> dict[str, Any] | None:
        """What a line says; None where it is blank, or torn and that is forgiven."""
        if not line.strip():
            return None
        try:
            row = json.loads(line)
        except ValueError as error:
            if self.config.torn_end and not line.endswith(b"\n"):
                return None
            raise DataError(f"{path}: line {number} is no JSON: {error}.") from error
        if not isinstance(row, dict):
            raise DataError(f"{path}: line {number} is JSON, but no object of names and values.")
        return row


def matches(source: object) -> bool:
    """Whether `source` is named like JSON Lines; cheap, since every reader is asked."""
    return isinstance(source, (str, Path)) and str(source).lower().endswith(ENDINGS) and not Path(source).is_dir()


def example(folder: Path, interactions: pd.DataFrame) -> Path:
    """Write a log in this shape, for the conformance suite."""
    target = folder / "interactions.jsonl"
    interactions.to_json(target, orient="records", lines=True)
    return target


def build(config: MyNameConfig, context: BuildContext) -> MyName:
    """A reader."""
    return MyName(config)


@hookimpl
def provide_readers() -> list[ReaderSpec]:
    """Offer the reader."""
    return [
        ReaderSpec(
            name="my_name",
            api_version=1,
            config=MyNameConfig,
            source="https://jsonlines.org",
            build=build,
            matches=matches,
            example=example,
        )
    ]
