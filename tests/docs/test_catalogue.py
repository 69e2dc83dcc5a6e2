"""docs/catalogue.md is what `recsmith plugins catalogue` prints, every path in it is one that a space file takes, and
every built-in plugin names its source."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, get_args

import pytest
from pydantic import Field
from typer.testing import CliRunner

from recsmith.cli.catalogue import page
from recsmith.cli.main import app
from recsmith.contracts.config import Choice, Config
from recsmith.contracts.data import Role
from recsmith.contracts.domains import Categorical, Float, Int, Narrowed, OneOf
from recsmith.contracts.plugins import LOG_CAPABILITIES, ModelSpec
from recsmith.wiring.catalogue import gather
from recsmith.wiring.documents import Document
from recsmith.wiring.plugins import LoadedPlugins, PluginInfo, load_plugins
from recsmith.wiring.registry import KINDS, freeze, singular
from recsmith.wiring.spaces import resolve_space

DOCS = Path(__file__).parents[2] / "docs"
SEARCHED = (
    "models",
    "encoders",
    "fusers",
    "blocks",
    "samplers",
    "task_samplers",
    "losses",
    "schedules",
    "meta_learners",
)
SOURCE = re.compile(r"none: \w|.*\b(19|20)\d\d\b|https://\S+\.\S+")


@pytest.fixture(scope="module")
def loaded():
    return load_plugins(only=("recsmith",))


@pytest.fixture(scope="module")
def catalogue(loaded):
    return gather(loaded, "recsmith")


def test_the_page_is_what_the_command_prints(catalogue):
    written = (DOCS / "catalogue.md").read_text(encoding="utf-8")
    assert written == page(catalogue), "recsmith plugins catalogue --distribution recsmith > docs/catalogue.md"


def test_every_spec_of_the_registry_is_an_entry(loaded, catalogue):
    expected = {(kind, name) for kind in KINDS for name in loaded.registry.specs[kind]}
    assert {(entry.kind, entry.name) for entry in catalogue.entries} == expected


def test_every_setting_of_every_spec_is_a_parameter(loaded, catalogue):
    for entry in catalogue.entries:
        config = loaded.registry.spec(entry.kind, entry.name).config
        own = [parameter.name for parameter in entry.parameters if "." not in parameter.name]
        assert own == list(config.model_fields)


def test_every_path_can_be_pinned_to_its_default_in_a_space_file(loaded, catalogue):
    roles = {role: role for role in get_args(Role)}
    lines, choices = {}, {}
    for entry in catalogue.entries:
        column = entry.facts["roles"][0] if entry.kind == "encoders" else "text"
        for path in entry.paths:
            for parameter in entry.parameters:
                name = f"{path.replace('COLUMN', column)}.{parameter.name}"
                if parameter.domain["kind"] == "one_of":
                    choices[name] = parameter.default["name"]
                elif parameter.domain["kind"] not in {"settings", "per_column"}:
                    lines[name] = parameter.default
    resolve_space(
        loaded.registry,
        Document("page", lines | choices),  # a pinned choice hides what is below its other options: they come last
        {},
        scenario="next_item",
        capabilities=LOG_CAPABILITIES,
        columns={"items": roles, "users": roles},
    )
    assert (len(lines) > 50, len(choices) > 3) == (True, True)


def test_what_is_searched_has_a_path_and_nothing_else_has(catalogue):
    searched = {entry.kind for entry in catalogue.entries if entry.paths}
    assert searched == set(SEARCHED)


def test_every_anchor_is_there_once_and_every_link_of_the_page_leads_somewhere(catalogue):
    text = page(catalogue)
    anchors = [_anchor(heading) for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE)]
    assert len(anchors) == len(set(anchors))
    assert set(re.findall(r"\]\(#([^)]+)\)", text)) <= set(anchors)
    for file, anchor in re.findall(r"\]\((\w+\.md)(?:#([^)]+))?\)", text):
        headings = re.findall(r"^#+ (.+)$", (DOCS / file).read_text(encoding="utf-8"), re.MULTILINE)
        assert not anchor or anchor in {_anchor(heading) for heading in headings}, f"{file}#{anchor}"


def test_other_pages_link_to_anchors_that_are_there(catalogue):
    anchors = {_anchor(heading) for heading in re.findall(r"^#+ (.+)$", page(catalogue), re.MULTILINE)}
    for document in DOCS.glob("*.md"):
        links = re.findall(r"\]\(catalogue\.md#([^)]+)\)", document.read_text(encoding="utf-8"))
        assert set(links) <= anchors, document.name


def _anchor(heading):
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def test_every_built_in_names_its_source_or_says_that_there_is_none(catalogue):
    bare = [f"{entry.kind}.{entry.name}: {entry.source!r}" for entry in catalogue.entries]
    bare = [line for line, entry in zip(bare, catalogue.entries, strict=True) if not SOURCE.match(entry.source)]
    assert bare == []


def test_every_built_in_says_what_it_is_in_one_sentence(catalogue):
    loose = [entry.plugin for entry in catalogue.entries if not re.fullmatch(r"[^\n]{10,110}\.", entry.description)]
    assert loose == []


def test_every_word_of_a_built_ins_needs_and_offers_is_explained(catalogue):
    text = (DOCS / "hooks.md").read_text(encoding="utf-8").partition("### Needs and offers")[2].partition("\n## ")[0]
    explained = set(re.findall(r"`(\w+)`", text))
    assert {word for entry in catalogue.entries for word in (*entry.needs, *entry.offers)} <= explained
    assert explained >= LOG_CAPABILITIES


def test_the_plugin_is_named_as_its_entry_point(catalogue):
    for entry in catalogue.entries:
        assert f"{singular(entry.kind)}.{entry.name}".startswith(entry.plugin)  # or begins with it, of several


class Inner(Config):
    """How deep."""

    depth: Annotated[int, Int(1, 9, step=2)] = 3  # of everything
    width: Annotated[float, Float(0.1, 10.0, log=True)] = Field(default=1.0, description="said by pydantic")


class Outer(Config):
    """Settings of the outer. It holds an inner."""

    kind: Annotated[str, Categorical(("a|b", "c"))] = "c"  # noqa: RUF100 - for tools alone
    inner: Annotated[Inner, Narrowed({"depth": Int(1, 5)})] = Inner(width=2.0)  # what it holds
    loss: Annotated[Choice, OneOf("losses", needs=frozenset({"ranking"}), optional=True)] = Choice(name="bpr")
    limits: tuple[Annotated[float, Field(gt=0)], ...] | None = None


def build_outer(config, context):
    """Builds the outer."""


@pytest.fixture
def third_party(loaded):
    """A manager with one more plugin, that offers two models."""
    specs = [
        ModelSpec(name=name, api_version=1, config=Outer, build=build_outer, training="closed_form", cost="hours")
        for name in ("outer", "other")
    ]
    offers = {plugin: [] for plugin in loaded.registry.origins.values()}
    for (kind, name), plugin in loaded.registry.origins.items():
        offers[plugin].append((kind, loaded.registry.spec(kind, name)))
    registry = freeze({**offers, "model.outer": [("models", spec) for spec in specs]}, {})
    info = PluginInfo("model.outer", "model", "recsmith-outer", "2.0", "outer", "here", "active")
    return LoadedPlugins(loaded.manager, registry, (*loaded.found, info))


def test_a_nested_configuration_is_described_once_and_what_differs_stands_with_the_plugin(third_party):
    found = gather(third_party, "recsmith-outer")
    entry = found.entries[0]
    rows = [(p.name, p.domain["kind"], p.default, p.meaning) for p in entry.parameters]
    assert rows == [
        ("kind", "categorical", "c", ""),
        ("inner", "settings", None, "what it holds"),
        ("inner.depth", "int", 3, ""),
        ("inner.width", "float", 2.0, ""),
        ("loss", "one_of", {"name": "bpr", "params": {}}, ""),
        ("limits", "fixed", None, ""),
    ]
    (inner,) = found.settings
    assert (inner.name, inner.description) == ("Inner", "How deep.")
    assert [p.meaning for p in inner.parameters] == ["of everything", "said by pydantic"]


def test_of_a_plugin_that_offers_several_things_each_is_described_by_what_builds_it(third_party):
    found = gather(third_party, "recsmith-outer")
    assert [entry.description for entry in found.entries] == ["Builds the outer."] * 2


def test_domains_and_defaults_are_written_as_a_reader_needs_them(third_party):
    text = page(gather(third_party, "recsmith-outer")).partition("### models.outer")[2]
    for line in (
        "| `model.outer.…` | domain | default | meaning |",
        "| `kind` | `a\\|b`, `c` | `c` |  |",
        "| `inner.depth` | int 1 … 5 | `3` |  |",
        "| `loss` | one of the [losses](#losses) that offer `ranking`, or `none` | [bpr](#lossesbpr) |  |",
        "| `limits` | *not searched*, list of float > 0 or none | none |  |",
        "| `depth` | int 1 … 9, step 2 | `3` | of everything |",
        "*training* `closed_form` · *cost* hours",
        "*source* not stated",
        "It holds an inner.",
    ):
        assert f"\n{line}\n" in text, line


def test_with_several_distributions_each_plugin_says_whose_it_is(third_party):
    text = page(gather(third_party))
    assert "*from* recsmith-outer 2.0 · " in text
    assert "*from*" not in page(gather(third_party, "recsmith-outer"))


def test_the_command_prints_the_page_and_the_same_as_json(catalogue):
    shown = CliRunner().invoke(app, ["plugins", "catalogue", "--distribution", "recsmith"])
    assert (shown.exit_code, shown.stdout) == (0, page(catalogue))
    data = CliRunner().invoke(app, ["plugins", "catalogue", "--distribution", "recsmith", "--json"])
    assert json.loads(data.stdout) == json.loads(json.dumps(asdict(catalogue)))
