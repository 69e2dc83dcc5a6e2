"""What every reader promises."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from recsmith.contracts.errors import DataError, RecsmithError
from recsmith.contracts.plan import DataPlan
from recsmith.contracts.plugins import RawTables
from recsmith.data.dataset import assemble
from recsmith.testing.conformance.attempt import attempt
from recsmith.testing.conformance.subject import NotApplicableError, Violation, bits, expect

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from recsmith.contracts.config import Choice
    from recsmith.testing.conformance.subject import Subject

GARBAGE = bytes(range(256)) * 8  # not text, no format's first bytes
ENDINGS = ("", ".csv", ".tsv", ".parquet", ".inter", ".json", ".txt", ".xlsx", ".db", ".npz", ".csv.gz", ".zip")
LONG = "long " * 200  # no system takes such a name
USERS, ITEMS = ("007", "8", "u-9", "zoë"), ("1", "01", "b c", "d")
FIRST_MOMENT, HOUR = 1_600_000_000, 3_600  # Unix seconds, seconds


def matches_answers_for_anything(subject: Subject) -> None:
    """`matches` answers True or False for whatever it is given, and never raises."""
    for name, source in _anything(subject.folder):
        with attempt(f"asked whether it matches {name}"):
            answer = subject.spec.matches(source)
            expect(
                isinstance(answer, bool), f"asked whether it matches {name}, it answers {answer!r}, not True or False"
            )


def refuses_a_missing_source(subject: Subject) -> None:
    """A source that is not there gives a DataError that names it."""
    for ending in ENDINGS:
        _expect_refusal(subject, subject.folder / f"missing{ending}", f"missing{ending}")
        _expect_refusal(subject, subject.folder / f"{LONG}{ending}", LONG)


def refuses_an_empty_source(subject: Subject) -> None:
    """An empty file or folder gives a DataError that names it."""
    for source in _written(subject.folder, "empty", b""):
        _expect_refusal(subject, source, source.name)
    (subject.folder / "hollow").mkdir()
    _expect_refusal(subject, subject.folder / "hollow", "hollow")
    _expect_refusal_where_ruined(subject, b"")


def refuses_garbage(subject: Subject) -> None:
    """A source of bytes that mean nothing gives a DataError that names it."""
    for source in _written(subject.folder, "garbage", GARBAGE):
        _expect_refusal(subject, source, source.name)
    _expect_refusal_where_ruined(subject, GARBAGE)


def half_a_source_is_read_or_refused(subject: Subject) -> None:
    """A source that was cut off is read as far as it goes, or refused by a DataError; nothing else is raised."""
    source, _ = _example(subject)
    for path in _files(source):
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    if not _files(source):
        raise NotApplicableError("its source is no file")
    with attempt("reading a source of which the second half is missing"):
        try:
            _built(subject).read(source)
        except DataError as error:
            expect(Path(source).name in str(error), f"the error does not name the source {source}: {error}")


def matches_its_example(subject: Subject) -> None:
    """`matches` says True for the source that `example` writes, a path as text or not."""
    source, _ = _example(subject)
    for form in {type(source), str} if isinstance(source, Path) else {type(source)}:
        asked = str(source) if form is str else source
        expect(subject.spec.matches(asked) is True, f"`matches` says no to its own example {asked!r}")


def no_other_reader_matches(subject: Subject) -> None:
    """What it matches is matched by no other installed reader: a source has one reader."""
    sources = [(str(path), path) for path in _written(subject.folder, "any", b"") if subject.spec.matches(path)]
    if subject.spec.example is not None:
        sources.append(("its example", _example(subject)[0]))
    for name, source in sources:
        others = [
            other.name
            for other in subject.registry.specs["readers"].values()
            if other is not subject.spec and getattr(other, "matches")(source)  # noqa: B009 - a Spec to mypy
        ]
        expect(not others, f"{name} is matched by it and by {' and '.join(others)}: match less")


def interactions_come_back(subject: Subject) -> None:
    """Interactions that `example` wrote come back with their ids, and with the times and values that are kept."""
    source, frame = _example(subject)
    raw = _built(subject).read(source)
    expect(isinstance(raw, RawTables), f"it gives a {type(raw).__name__}, not RawTables")
    try:
        log = assemble(raw, DataPlan(source=str(source)), subject.spec.name)
    except RecsmithError as error:
        raise Violation(f"what it reads cannot be used: {error}") from error
    columns: dict[str, Any] = {"user_id": log.user_ids[log.user], "item_id": log.item_ids[log.item]}
    if log.timestamp is not None:
        columns["timestamp"] = log.timestamp
    if log.value is not None:
        columns["value"] = log.value
    got = sorted(zip(*(values.tolist() for values in columns.values()), strict=True))
    expected = sorted(zip(*(frame[name].tolist() for name in columns), strict=True))
    lost = [row for row in expected if row not in got]
    expect(len(got) == len(expected), f"{len(got)} interactions came back of {len(expected)}")
    expect(not lost, f"({', '.join(columns)}) {lost[:1]} did not come back; it gave {got[:3]} …")


def reading_leaves_the_source_alone(subject: Subject) -> None:
    """Reading changes neither the source nor the folder that it lies in."""
    source, frame = _example(subject)
    before = _content(subject.folder), bits(frame.to_dict("list")), bits(_frame_of(source))
    _built(subject).read(source)
    after = _content(subject.folder), bits(frame.to_dict("list")), bits(_frame_of(source))
    changed = sorted(name for name in before[0].keys() | after[0].keys() if before[0].get(name) != after[0].get(name))
    expect(not changed, f"reading changed {', '.join(changed)}")
    expect(before == after, "reading changed the table that was handed over")


def reading_again_gives_the_same(subject: Subject) -> None:
    """The same source gives the same tables, also to a fresh reader."""
    source, _ = _example(subject)
    reader = _built(subject)
    first = reader.read(source).interactions.to_dict("list")
    for which, other in (("it", reader), ("a fresh one", _built(subject))):
        same = first == other.read(source).interactions.to_dict("list")
        expect(same, f"asked again, {which} gives other interactions")


def every_corner_reads(subject: Subject) -> None:
    """Every corner of its search space gives a reader that reads its example, or refuses it by a DataError."""
    source = None if subject.spec.example is None else _example(subject)[0]
    for label, choice in subject.corners():
        with attempt(label), suppress(DataError):
            reader = _built(subject, choice)
            if source is not None:
                reader.read(source)


CHECKS = (
    matches_answers_for_anything,
    refuses_a_missing_source,
    refuses_an_empty_source,
    refuses_garbage,
    half_a_source_is_read_or_refused,
    matches_its_example,
    no_other_reader_matches,
    interactions_come_back,
    reading_leaves_the_source_alone,
    reading_again_gives_the_same,
    every_corner_reads,
)


# --- the work ---------------------------------------------------------------------------------------------------------


def _built(subject: Subject, choice: Choice | None = None) -> Any:
    return subject.registry.build("readers", choice or subject.choice(), subject.registry.context())


def _frame() -> pd.DataFrame:
    """Twelve interactions at distinct times; ids that a careless reader makes numbers of."""
    import pandas as pd

    rows = [(user, item) for user in USERS for item in ITEMS if (user, item) != ("8", "d")]
    size = len(rows)
    return pd.DataFrame(
        {
            "user_id": [user for user, _ in rows],
            "item_id": [item for _, item in rows],
            "timestamp": FIRST_MOMENT + HOUR * np.arange(size),
            "value": 1.0 + np.arange(size) % 9 / 2,
        }
    )


def _example(subject: Subject) -> tuple[Any, pd.DataFrame]:
    """A source that the plugin wrote, in a folder of its own, and what it was given to write."""
    if subject.spec.example is None:
        raise NotApplicableError("its spec has no `example` that writes a source to read")
    folder = subject.folder / "example"
    folder.mkdir()
    frame = _frame()
    return subject.spec.example(folder, frame.copy()), frame


def _anything(folder: Path) -> Iterator[tuple[str, Any]]:
    yield "a path that is not there", folder / "missing" / "log.csv"
    yield "the text of such a path", str(folder / "missing.csv")
    yield "a folder", folder
    yield "no text", ""
    yield "a text with a zero byte", "a\0b.csv"
    for ending in ("", ".csv", ".inter"):
        yield f"a text of 10,000 letters{ending and f' and {ending!r}'}", "x" * 10_000 + ending
    yield "an address", "postgresql://host/log"
    yield "a number", 7
    yield "None", None
    yield "bytes", b"log.csv"
    yield "a list", ["log.csv"]
    yield "a numpy array", np.zeros((2, 2))
    yield "a pandas table", _frame()
    for path in _written(folder, "log", GARBAGE):
        yield f"a file {path.name!r} of bytes that mean nothing", path


def _written(folder: Path, stem: str, content: bytes) -> list[Path]:
    paths = [folder / f"{stem}{ending}" for ending in ENDINGS]
    for path in paths:
        path.write_bytes(content)
    return paths


def _files(source: Any) -> list[Path]:
    """The files of an example: itself, or all in its folder."""
    if not isinstance(source, (str, Path)):
        return []
    path = Path(source)
    if path.is_file():
        return [path]
    return [each for each in sorted(path.rglob("*")) if each.is_file()]


def _expect_refusal_where_ruined(subject: Subject, content: bytes) -> None:
    """See that the reader's own example is refused once its files hold `content`."""
    if subject.spec.example is None:
        return
    source, _ = _example(subject)
    for path in _files(source):
        path.write_bytes(content)
    if _files(source):
        _expect_refusal(subject, source, Path(source).name)


def _expect_refusal(subject: Subject, source: Path, name: str) -> None:
    """See that reading `source` raises a DataError that holds `name`; a plan may give the path to any reader."""
    with attempt(f"reading {name[:40]!r}"):
        try:
            _built(subject).read(str(source))
        except DataError as error:
            expect(name in str(error), f"reading {name[:40]!r}: the error does not name it: {error}")
        else:
            raise Violation(f"reading {name[:40]!r} raised nothing: raise DataError with the name of the source")


def _content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def _frame_of(source: Any) -> Any:
    """The content of a source that is a table itself."""
    return source.to_dict("list") if hasattr(source, "to_dict") else None
