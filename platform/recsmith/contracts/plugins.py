"""What a plugin promises: one small protocol and one spec for each kind.

A spec is a description: its name, its settings, what it needs and offers, and a factory. `build(config, context)`
gives the object that does the work; `context.part(kind, choice)` builds another plugin that the settings name.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from recsmith.contracts.config import Config
from recsmith.contracts.errors import PluginError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt
    import pandas as pd
    import torch

    from recsmith.contracts.config import Choice
    from recsmith.contracts.content import Content
    from recsmith.contracts.data import (
        BoolArray,
        Column,
        DoubleArray,
        FeatureMatrix,
        FloatArray,
        IntArray,
        LogColumns,
        LongArray,
        RankedLists,
        RatedPairs,
        Role,
        State,
    )
    from recsmith.contracts.models import Model
    from recsmith.contracts.tasks import MetaLearner

API_VERSION = 1

LOG_CAPABILITIES = frozenset(
    {"timestamps", "order", "values", "split", "item_features", "user_features", "small_catalogue", "cold_users"}
)

GOALS = frozenset({"ranking", "ratings"})  # what models predict and losses judge

GRADIENTS = "gradients"  # what an encoder or fuser needs that learns with a gradient model

Examples = Literal["sequences", "pairs", "user_rows", "tasks"]

Cost = Literal["seconds", "minutes", "hours"]

Kind = Literal[
    "readers",
    "splitters",
    "encoders",
    "fusers",
    "models",
    "blocks",
    "samplers",
    "task_samplers",
    "losses",
    "schedules",
    "meta_learners",
    "metrics",
    "combiners",
    "exporters",
]


@dataclass(frozen=True, eq=False)
class BuildContext:
    """What a factory may know besides its own settings."""

    users: int  # U
    items: int  # I
    item_counts: LongArray  # [I] interactions per item in the training rows
    seed: int
    device: str  # a torch device, "cpu" or "cuda:0"
    part: Callable[[Kind, Choice], Any]
    item_content: Content | None = None  # the encoded item columns, where the settings hold an `ItemContent`
    user_content: Content | None = None  # the encoded user columns, where they hold a `UserContent`
    candidates: BoolArray | None = None  # [I] the items of the target domain, in the scenario cross_domain
    ratings: RatingScale | None = None  # where the model's loss judges predicted ratings: those of the training rows

    @property
    def item_features(self) -> FeatureMatrix | None:
        """The item columns as one matrix, [I, F]."""
        return None if self.item_content is None else self.item_content.fused

    @property
    def user_features(self) -> FeatureMatrix | None:
        """The user columns as one matrix, [U, F]."""
        return None if self.user_content is None else self.user_content.fused


@dataclass(frozen=True)
class RatingScale:
    """The ratings of the training rows, in the log's own unit."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Spec:
    """What every spec says.

    `needs`: what must hold in the log or in the host. Of a log: "timestamps", "order" (timestamps, or `order: rows`),
    "values" (ratings), "item_features", "user_features", "small_catalogue" (at most 50,000 items), "cold_users" (the
    split holds out whole users), "domains", "target_domain" (the items of one domain are to be recommended). A metric
    may need "similarity", that of the items. An encoder or fuser may need "gradients": it learns with a gradient model.
    `offers`: what others may ask for. Models: "ranking", "ratings", "new_users", "new_items".
    Losses: "ranking", "ratings", "negatives". Meta-learners: "closed_form". Blocks: "history".
    """

    name: str
    api_version: int
    config: type[Config] = Config
    needs: frozenset[str] = frozenset()
    offers: frozenset[str] = frozenset()
    source: str = ""  # paper or page of the method
    cost: Cost = "seconds"  # it adds to a trial on a small log: cheapest go first


# --- models -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sizes:
    """The size of the rows that a model learns from."""

    users: int  # U
    items: int  # I
    interactions: int  # N
    longest: int  # interactions of the longest history
    features: int = 0  # F, in the encoded columns of the items
    width: int = 0  # W, numbers of an item that are stored of them: F where they are dense


@dataclass(frozen=True, kw_only=True)
class ModelSpec(Spec):
    """A recommender.

    `memory(config, sizes)` says how many bytes it takes at most, at its peak, to learn from a log of that size and to
    score a chunk of requests, beside the log itself. A model that would not fit is refused before it starts.

    A gradient model that serves users through an adapted head has a settings field
    `meta_learner: Annotated[Choice, OneOf("meta_learners", ...)]` and is `Adaptable`. One that learns from tasks has
    the field `tasks: Tasks` beside it.
    """

    build: Callable[[Any, BuildContext], Model]
    training: Literal["closed_form", "gradient"]
    examples: Examples | None = None  # what a gradient model learns from; None for a closed form
    memory: Callable[[Any, Sizes], float] | None = None

    def __post_init__(self) -> None:
        if (self.training == "gradient") != (self.examples is not None):
            raise PluginError(f"model {self.name!r}: `examples` is for gradient models, and each of them needs it.")


# --- content ----------------------------------------------------------------------------------------------------------


class Encoder(Protocol):
    """Turns one column into features; fitted on the rows that training may see.

    It may say more, where it can: `labels() -> Sequence[str]`, a name for each feature ("space, ship, alien"); and, of
    pictures and sounds, `faults: Mapping[str, str]`, why each file that `features` was asked for could not be read.
    """

    def fit(self, column: Column) -> None:
        """Learn vocabularies, scales and the like."""
        ...

    def features(self, column: Column) -> FeatureMatrix:
        """One row per value, float32; a missing value, or a file that cannot be read, gives a row of zeros."""
        ...

    def state(self) -> State:
        """Everything `load` needs."""
        ...

    def load(self, state: State) -> None:
        """Become the encoder whose state this is."""
        ...


class TrainedEncoder(Encoder, Protocol):
    """An encoder whose last part learns with the model: its features are what that part reads (tokens, pixels).

    Its spec needs "gradients".
    """

    def module(self, width: int) -> torch.nn.Module:
        """A fresh module: features [n, F] -> vectors [n, width]. Weights come from torch's generator, as seeded."""
        ...


@dataclass(frozen=True, kw_only=True)
class EncoderSpec(Spec):
    """An encoder and the column roles that it reads; it is the default for `default_for`.

    `fitted` is False for one that learns nothing from a column: its features then serve every fold. Features are kept
    on disk: raise `version` when the same settings give others than before.
    """

    build: Callable[[Any, BuildContext], Encoder]
    roles: frozenset[Role]
    default_for: frozenset[Role] = frozenset()
    fitted: bool = True
    version: int = 1


class Fuser(Protocol):
    """Joins the features of several columns into one matrix; one that is a `TrainedFuser` too serves both ways."""

    def fuse(self, features: Mapping[str, FeatureMatrix]) -> FeatureMatrix:
        """One matrix [R, F] from several [R, F_c]."""
        ...


class TrainedFuser(Protocol):
    """Joins vectors of several columns by a module that learns with the model.

    A spec whose fuser cannot do without needs "gradients".
    """

    def module(self, columns: int, width: int) -> torch.nn.Module:
        """A fresh module for C columns: vectors [n, C, width] and known [n, C] (bool) -> [n, width].

        Where a column is not known its vector is to be passed over; where none is, the result is zeros.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class FuserSpec(Spec):
    """A fuser."""

    build: Callable[[Any, BuildContext], Fuser | TrainedFuser]


class HistoryEncoder(Protocol):
    """A block that offers "history": it sums up what a user did, given a vector for each interaction."""

    def module(self, width: int, length: int) -> torch.nn.Module:
        """A fresh module: vectors [B, T, width], oldest first, T at most `length` -> summaries [B, T, width].

        Summary t sees vectors 0 to t only, so padding on the right has no say. Vector 0 opens a history, as a rule.
        """
        ...


# --- learning ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class PartSpec(Spec):
    """A sampler, task sampler, loss, schedule or block: a part of a model or of its training."""

    build: Callable[[Any, BuildContext], Any]


@dataclass(frozen=True, kw_only=True)
class MetaLearnerSpec(Spec):
    """A meta-learner."""

    build: Callable[[Any, BuildContext], MetaLearner]


# --- judging ----------------------------------------------------------------------------------------------------------


class RankingMetric(Protocol):
    """Judges one ranked list at a time."""

    def __call__(self, lists: RankedLists) -> DoubleArray:
        """The value of every list, [B]; the figure of a set of users is their mean."""
        ...


class CatalogueMetric(Protocol):
    """Judges all lists together (coverage, Gini)."""

    def __call__(self, lists: RankedLists) -> float:
        """The value of the whole set of lists."""
        ...


class RatingMetric(Protocol):
    """Judges predicted ratings."""

    def __call__(self, pairs: RatedPairs) -> tuple[DoubleArray, DoubleArray]:
        """Per request a sum of errors [B] and a count [B]; `finish` of the spec turns their ratio into the figure."""
        ...


@dataclass(frozen=True, kw_only=True)
class MetricSpec(Spec):
    """A metric; it owns its direction. `name` is without the cut-off: "ndcg" is asked for as "ndcg@10".

    `formula` is the line of the documentation. Ranking metrics see lists cut to K. `finish` maps the mean of a rating
    metric to its figure (the square root, for RMSE).
    """

    build: Callable[[Any, BuildContext], Any]
    judges: Literal["ranking", "catalogue", "ratings"]
    direction: Literal["maximize", "minimize"]
    formula: str
    finish: Callable[[float], float] = float
    within: tuple[float, float] = (-math.inf, math.inf)  # no figure, and no end of an interval, lies outside


# --- tables and lists -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class RawTables:
    """What a reader found, as it stands in the source: names and values untouched.

    `base` is the folder against which media paths are resolved. `origin` names the file of each table for messages.
    """

    interactions: pd.DataFrame
    items: pd.DataFrame | None = None
    users: pd.DataFrame | None = None
    base: Path | None = None
    origin: Mapping[str, str] = field(default_factory=dict)


class Reader(Protocol):
    """Reads one kind of source."""

    def read(self, source: Any) -> RawTables:
        """Read the tables of `source`; raise DataError with file and place when they are not readable."""
        ...


@dataclass(frozen=True, kw_only=True)
class ReaderSpec(Spec):
    """A reader; `matches(source)` says cheaply whether it is the one for a source. Exactly one should.

    `example` writes interactions (columns user_id, item_id, timestamp, value) into an empty folder and returns a source
    that the reader matches: for the conformance suite, and to show what the reader reads.
    """

    build: Callable[[Any, BuildContext], Reader]
    matches: Callable[[Any], bool]
    example: Callable[[Path, pd.DataFrame], Any] | None = None


class Splitter(Protocol):
    """Assigns every interaction to training, validation or test."""

    def split(self, log: LogColumns, seed: int) -> npt.NDArray[np.int8]:
        """TRAIN, VALID, TEST, VALID_SUPPORT, TEST_SUPPORT or UNUSED for each interaction, [N] int8."""
        ...


@dataclass(frozen=True, kw_only=True)
class SplitterSpec(Spec):
    """A splitter and the scenarios that it makes."""

    build: Callable[[Any, BuildContext], Splitter]
    scenarios: frozenset[str]


class Combiner(Protocol):
    """Joins several ranked lists of one request into one."""

    def combine(
        self, items: list[IntArray], scores: list[FloatArray], k: int, lengths: LongArray
    ) -> tuple[IntArray, FloatArray]:
        """Lists [B, K_m] of M members, best first -> one list [B, k], int32, with its scores, float32.

        Places without an item stand at the end of a list and hold ABSENT and -inf, in the members' lists and in the
        answer. `lengths` [B] are the interactions in the history that each request came with, 0 or more.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class CombinerSpec(Spec):
    """A combiner."""

    build: Callable[[Any, BuildContext], Combiner]


class Exporter(Protocol):
    """Writes a verified artifact in another shape."""

    def export(self, artifact: Path, destination: Path) -> Path:
        """Write `artifact` to `destination` whole or not at all; return what was written."""
        ...


@dataclass(frozen=True, kw_only=True)
class ExporterSpec(Spec):
    """An exporter."""

    build: Callable[[Any, BuildContext], Exporter]
