"""What an artifact says about itself: its manifest, as plain data. The folder's layout is docs/artifact.md."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from recsmith.contracts.config import Choice
from recsmith.contracts.plan import Scenario
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


class ArtifactFacts(Result):
    """Where an artifact comes from and how good it was found to be."""

    study: str
    trial: int | None = None  # number in the study; None for an ensemble
    scenario: Scenario = "next_item"
    mask_seen: bool = True
    objective: str
    metrics: dict[str, Figure]  # on test, with their intervals
    split: str  # name of the splitter
    split_hash: str
    data_fingerprint: str
    seeds: dict[str, int] = Field(default_factory=dict)
    search_trials: Annotated[int, Field(ge=0)] = 0
    search_seconds: Annotated[float, Field(ge=0)] = 0.0
    refit: Literal["train+valid", "all"] = "train+valid"  # the rows that the members have learnt from


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
