"""What an artifact says about itself: its manifest, as plain data. The folder's layout is docs/artifact.md."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from recsmith.contracts.config import Choice
from recsmith.contracts.plan import Reading, Scenario
from recsmith.contracts.results import Figure, Result

SCHEMA_VERSION = 1
MANIFEST = "manifest.json"
LAYOUT = re.compile(
    r"README\.md|combination\.json|golden\.json"
    r"|catalog/(items|users|histories)\.parquet|catalog/popularity\.safetensors"
    r"|members/[0-9]+/(config\.json|weights\.safetensors)"
    r"|members/[0-9]+/encoders/(items|users)/[\w%-]+/(config\.json|(weights|features)\.safetensors)"
)


def _in_layout(name: str) -> str:
    if not LAYOUT.fullmatch(name):
        raise ValueError("no file that an artifact has")
    return name


FileName = Annotated[str, AfterValidator(_in_layout)]  # relative, with /; nothing outside the folder, no code

Count = Annotated[int, Field(ge=0, lt=2**31)]
Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]  # sha256


class Compared(Result):
    """Two models on the same requests: the objective before and after, and the gain, positive where after is better."""

    requests: Annotated[int, Field(ge=0)]
    before: float
    after: float
    gain: float
    low: float  # of the gain's 95 % interval over requests
    high: float


class UpdateFacts(Result):
    """What an update learnt from and what it was found to be worth."""

    parent: Digest  # `sha256` of the manifest of the artifact that was updated
    number: Annotated[int, Field(ge=1)]  # updates since the study
    interactions: Annotated[int, Field(ge=0)]  # new ones
    users: Annotated[int, Field(ge=0)]  # new ones
    items: Annotated[int, Field(ge=0)]  # new ones
    ways: tuple[Literal["continued", "refitted"], ...]  # of the members
    epochs: Annotated[int, Field(ge=1)]  # of the members that continued
    replay: Annotated[float, Field(ge=0, le=1)]  # share of the other users whose histories were learnt again
    rate: Annotated[float, Field(gt=0)]  # factor on the learning rate
    hold_out: str  # "last", or the share of the newest rows
    judged: dict[str, Compared]  # on held-out new rows: "all" requests, those of "known" and those of "new" users
    forgetting: Compared  # on known users' old interactions
    bound: Annotated[float, Field(ge=0)]  # the most that the latter may fall
    refused: str | None = None  # why it would not have been written but for `--anyway`
    seconds: Annotated[float, Field(ge=0)]


class ArtifactFacts(Result):
    """Where an artifact comes from and how good it was found to be."""

    study: str
    trial: int | None = None  # number in the study; None for an ensemble
    scenario: Scenario = "next_item"
    mask_seen: bool = True
    domain: str | None = None  # the one that is recommended from, where not all are
    objective: str
    metrics: dict[str, Figure]  # on test, with their intervals
    split: str  # name of the splitter
    split_hash: str
    data_fingerprint: str
    seeds: dict[str, int] = Field(default_factory=dict)
    search_trials: Annotated[int, Field(ge=0)] = 0
    search_seconds: Annotated[float, Field(ge=0)] = 0.0
    refit: Literal["train+valid", "all"] = "train+valid"  # the rows that the members have learnt from
    epochs: Annotated[int, Field(ge=1)] | None = None  # that the study's gradient model learnt
    reading: Reading | None = None  # how the log was read
    update: UpdateFacts | None = None  # the latest one


class FileEntry(Result):
    """One file of the closed list."""

    size: Annotated[int, Field(ge=0, le=2**40)]  # bytes
    sha256: Digest


class PluginUse(Result):
    """A plugin that answering needs. `distribution` is empty for one that no installed distribution offers."""

    entry_point: str
    distribution: str
    version: str


class Combination(Result):
    """How the members' lists become one: the best max(k, depth) of each member go to the combiner.

    None is the trivial combination, the only member's own list.
    """

    combiner: Choice | None = None
    depth: Annotated[int, Field(ge=1, le=10_000)] = 100


class Manifest(Result):
    """manifest.json."""

    schema_version: int
    recsmith: str  # version that saved it
    facts: ArtifactFacts
    note: str  # how to read the figures
    configurations: Annotated[tuple[Choice, ...], Field(min_length=1, max_length=1000)]  # of the members, in full
    users: Count
    items: Count
    interactions: Annotated[int, Field(ge=0, lt=2**40)]
    ordered: bool  # the order of the histories means something
    plugins: tuple[PluginUse, ...]
    libraries: dict[str, str]  # versions
    files: Annotated[dict[FileName, FileEntry], Field(max_length=100_000)]  # every file but this one, in order
    sha256: Digest  # of all the above, as `artifacts.manifest.seal` writes it
