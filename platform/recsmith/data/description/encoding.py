"""The columns of a log, the names of their rows, and what encoders make of them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from recsmith.contracts.config import Choice
from recsmith.contracts.errors import PluginError
from recsmith.contracts.plugins import GRADIENTS
from recsmith.data.description.facts import Example

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    import numpy.typing as npt

    from recsmith.contracts.data import Column, FeatureMatrix
    from recsmith.contracts.plugins import Encoder, EncoderSpec
    from recsmith.data.coded import Dataset
    from recsmith.data.description.facts import Table
    from recsmith.wiring.registry import Registry

TITLES = ("title", "name")  # text columns that name an item, the first that is there
SHOWN = 160  # characters of a text
NAMED = 60  # characters of a title


@dataclass(frozen=True, eq=False)
class Source:
    """One column with what is needed to name its rows."""

    table: Table
    column: Column
    dataset: Dataset
    titles: npt.NDArray[Any] | None  # of the items, [I]

    def name(self, row: int) -> str:
        """The title of an item; of other rows nothing."""
        return title_of(self.titles, row) if self.table == "items" else ""

    def row(self, row: int) -> str:
        """The id of a row."""
        data = self.dataset
        if self.table == "interactions":
            return f"user {data.user_ids[data.user[row]]}, item {data.item_ids[data.item[row]]}"
        return str((data.item_ids if self.table == "items" else data.user_ids)[row])

    def example(self, row: int, score: float | None = None) -> Example:
        """One row with its text; other values than texts are named only."""
        value = self.column.values[row] if self.column.role == "text" else None
        text = "" if value is None or value == self.name(row) else shortened(value, SHOWN)
        return Example(row=self.row(row), name=self.name(row), text=text, score=score)

    def examples(self, rows: Iterable[int], scores: Mapping[int, float] | None = None) -> tuple[Example, ...]:
        """Several rows, with rounded scores."""
        return tuple(self.example(row, None if scores is None else round(scores[row], 4)) for row in map(int, rows))


def sources(dataset: Dataset) -> Iterator[Source]:
    """Every column of the tables and of the log's context."""
    titles = titles_of(dataset)
    tables: tuple[tuple[Table, tuple[Column, ...]], ...] = (
        ("items", dataset.items),
        ("users", dataset.users),
        ("interactions", dataset.context),
    )
    for table, columns in tables:
        for column in columns:
            yield Source(table, column, dataset, titles)


def titles_of(dataset: Dataset) -> npt.NDArray[Any] | None:
    """What items are called, [I]: their column "title" or "name", where there is one."""
    named = {column.name.lower(): column.values for column in dataset.items if column.role == "text"}
    return next((named[name] for name in TITLES if name in named), None)


def title_of(titles: npt.NDArray[Any] | None, row: int) -> str:
    """The title of one item, shortened."""
    return "" if titles is None or titles[row] is None else shortened(titles[row], NAMED)


def shortened(text: str, most: int) -> str:
    """At most so many characters of a text on one line."""
    line = " ".join(str(text).split())
    return line if len(line) <= most else f"{line[: most - 1].rstrip()}…"


def note(what: str, error: PluginError) -> str:
    """One sentence: what is missing, and why."""
    return f"{what}: {str(error).rstrip('.')}."


@dataclass(frozen=True, eq=False)
class Encoded:
    """The features of one column."""

    features: FeatureMatrix
    labels: Sequence[str]  # one for each feature, or none
    faults: Mapping[str, str]  # path -> why it could not be read


@dataclass(frozen=True, eq=False)
class Encodings:
    """What encoders make of columns, each made once. Encoders are asked of the registry by role and name."""

    registry: Registry
    made: dict[str, Encoded] = field(default_factory=dict)

    def has(self, name: str, role: str) -> bool:
        """Whether an encoder of that name is installed and reads that role."""
        spec = self.registry.specs["encoders"].get(name)
        return spec is not None and role in self.spec(name).roles

    def spec(self, name: str) -> EncoderSpec:
        """What it says of itself."""
        spec: EncoderSpec = self.registry.spec("encoders", name)
        return spec

    def usual(self, role: str) -> str | None:
        """The default encoder of a role, of those that need no model to learn with."""
        for name in self.registry.specs["encoders"]:
            if role in self.spec(name).default_for and GRADIENTS not in self.spec(name).needs:
                return name
        return None

    def of(self, source: Source, name: str, part: Callable[[Column], Column] | None = None, **params: Any) -> Encoded:
        """The features of a column, or of what `part` makes of it: the same for one encoder and its parameters.

        Raises:
            PluginError: the encoder is not installed or cannot be used, in one sentence.
        """
        if not self.has(name, source.column.role):
            reason = self.registry.aside.get(f"encoder.{name}", "not installed")
            raise PluginError(f"the encoder {name!r} is {reason.rstrip('.')}.")
        key = json.dumps([source.table, source.column.name, name, params])
        if key not in self.made:
            self.made[key] = self._make(source.column if part is None else part(source.column), name, params)
        return self.made[key]

    def _make(self, column: Column, name: str, params: Mapping[str, Any]) -> Encoded:
        encoder: Encoder = self.registry.build(
            "encoders", Choice(name=name, params=dict(params)), self.registry.context()
        )
        encoder.fit(column)
        features = encoder.features(column)
        labels: Sequence[str] = encoder.labels() if hasattr(encoder, "labels") else ()
        return Encoded(features, tuple(labels), dict(getattr(encoder, "faults", {})))
