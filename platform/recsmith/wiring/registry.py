"""The registry: every spec that the plugins offer, by kind and name, and the building of what they describe."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from types import MappingProxyType, NoneType
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
from pydantic import ValidationError

from recsmith.contracts.config import Choice, Config
from recsmith.contracts.domains import Categorical, Float, Int, OneOf, PerColumn
from recsmith.contracts.errors import PluginError, unknown
from recsmith.contracts.plugins import (
    API_VERSION,
    BuildContext,
    CombinerSpec,
    Cost,
    EncoderSpec,
    ExporterSpec,
    FuserSpec,
    Kind,
    MetaLearnerSpec,
    MetricSpec,
    ModelSpec,
    PartSpec,
    RatingScale,
    ReaderSpec,
    Spec,
    SplitterSpec,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pluggy

    from recsmith.contracts.content import Content
    from recsmith.contracts.data import BoolArray, LongArray

KINDS: tuple[Kind, ...] = get_args(Kind)
Offer = tuple[Kind, Spec]

_SPECS: dict[Kind, type[Spec]] = {
    "readers": ReaderSpec,
    "splitters": SplitterSpec,
    "encoders": EncoderSpec,
    "fusers": FuserSpec,
    "models": ModelSpec,
    "meta_learners": MetaLearnerSpec,
    "metrics": MetricSpec,
    "combiners": CombinerSpec,
    "exporters": ExporterSpec,
}


def singular(kind: Kind) -> str:
    """The word for one of a kind, as in the names of entry points."""
    return "loss" if kind == "losses" else kind.removesuffix("s")


@dataclass(frozen=True, eq=False)
class Registry:
    """All specs, frozen. `origins` tells the entry point of each, `aside` why another entry point is not here."""

    specs: Mapping[Kind, Mapping[str, Spec]]
    origins: Mapping[tuple[Kind, str], str]
    aside: Mapping[str, str] = field(default_factory=dict)

    def spec(self, kind: Kind, name: str) -> Any:
        """The spec of that name.

        Raises:
            PluginError: there is none.
        """
        try:
            return self.specs[kind][name]
        except KeyError:
            raise PluginError(self.unknown(kind, name, self.specs[kind])) from None

    def unknown(self, kind: Kind, name: str, known: Iterable[str]) -> str:
        """Say that none of a kind has this name: the nearest that has, or why the plugin of that name is not here."""
        plugin = f"{singular(kind)}.{name}"
        if plugin in self.aside:
            return f"the plugin {plugin!r} is {self.aside[plugin]}."
        return unknown(singular(kind).replace("_", "-"), name, known)

    def config(self, kind: Kind, choice: Choice) -> Config:
        """The settings that a choice describes; what it does not say is as the plugin has it, also further down.

        Raises:
            PluginError: the plugin is unknown, or a parameter is unknown or has a value of the wrong type.
        """
        spec: Spec = self.spec(kind, choice.name)
        try:
            return spec.config.model_validate(_filled(spec.config, choice.params))
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"])
            known = ", ".join(sorted(spec.config.model_fields)) or "none"
            raise PluginError(f"{choice.name}: {place or 'settings'}: {first['msg']}. Known: {known}.") from error

    def build(self, kind: Kind, choice: Choice, context: BuildContext) -> Any:
        """The working object that a choice describes."""
        return self.spec(kind, choice.name).build(self.config(kind, choice), context)

    def context(
        self,
        *,
        item_counts: LongArray | None = None,
        users: int = 0,
        seed: int = 0,
        device: str = "cpu",
        item_content: Content | None = None,
        user_content: Content | None = None,
        candidates: BoolArray | None = None,
        ratings: RatingScale | None = None,
    ) -> BuildContext:
        """A context whose `part` builds through this registry."""
        counts = np.zeros(0, np.int64) if item_counts is None else item_counts

        def part(kind: Kind, choice: Choice) -> Any:
            return self.build(kind, choice, context)

        context = BuildContext(
            users, len(counts), counts, seed, device, part, item_content, user_content, candidates, ratings
        )
        return context


def freeze(offers: Mapping[str, Iterable[Offer]], aside: Mapping[str, str]) -> Registry:
    """The registry of what plugins offer, by the name of their entry point.

    Raises:
        PluginError: two of them offer one name.
    """
    specs: dict[Kind, dict[str, Spec]] = {kind: {} for kind in KINDS}
    origins: dict[tuple[Kind, str], str] = {}
    for plugin, offered in offers.items():
        for kind, spec in offered:
            if spec.name in specs[kind]:
                raise PluginError(f"the {singular(kind)} {spec.name!r} is offered twice, then by {plugin!r}.")
            specs[kind][spec.name] = spec
            origins[kind, spec.name] = plugin
    frozen = {kind: MappingProxyType(dict(sorted(named.items()))) for kind, named in specs.items()}
    return Registry(MappingProxyType(frozen), MappingProxyType(origins), MappingProxyType(dict(aside)))


def _filled(config: type[Config], params: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters, with groups of settings that are given in part filled up from the default of the whole group."""
    filled = dict(params)
    for name, info in config.model_fields.items():
        usual, given = info.get_default(call_default_factory=True), params.get(name)
        if isinstance(usual, Config) and isinstance(given, dict):
            filled[name] = {**usual.model_dump(), **_filled(type(usual), given)}
    return filled


def offers_of(manager: pluggy.PluginManager, plugin: str) -> list[Offer]:
    """Ask one registered plugin for its specs.

    Raises:
        PluginError: a spec is of another API version, not of its kind, or its settings break the rules.
    """
    offered: list[Offer] = []
    for kind in KINDS:
        for implementation in getattr(manager.hook, f"provide_{kind}").get_hookimpls():
            if implementation.plugin_name == plugin:
                for spec in implementation.function():
                    _check_spec(kind, spec)
                    if any(spec.name == other.name for other_kind, other in offered if other_kind == kind):
                        raise PluginError(f"it offers the {singular(kind)} {spec.name!r} twice")
                    offered.append((kind, spec))
    return offered


def _check_spec(kind: Kind, spec: Spec) -> None:
    expected = _SPECS.get(kind, PartSpec)
    if not isinstance(spec, expected):
        raise PluginError(f"provide_{kind} returned {spec!r} among its specs, which is no {expected.__name__}")
    if spec.api_version != API_VERSION:
        raise PluginError(
            f"{spec.name!r} is written for plugin API {spec.api_version}, this is {API_VERSION}: install a version of "
            f"the plugin for API {API_VERSION}"
        )
    if not re.fullmatch(r"[a-z][a-z0-9_]*", str(spec.name)):
        raise PluginError(f"{spec.name!r} cannot be part of a parameter's name: write it as in 'item_knn'")
    for name in ("needs", "offers"):
        words = getattr(spec, name)
        if not (isinstance(words, frozenset) and all(isinstance(word, str) for word in words)):
            raise PluginError(f"{spec.name!r}: `{name}` is {words!r}: write a frozenset of words")
    if spec.cost not in get_args(Cost):
        raise PluginError(f"{spec.name!r}: `cost` is {spec.cost!r}: write one of {', '.join(get_args(Cost))}")
    if not callable(spec.build):  # type: ignore[attr-defined]
        raise PluginError(f"{spec.name!r}: `build` cannot be called")
    if not (isinstance(spec.config, type) and issubclass(spec.config, Config)):
        raise PluginError(f"{spec.name!r}: `config` is {spec.config!r}, which is no subclass of Config")
    _check_settings(spec.name, spec.config)


def _check_settings(place: str, config: type[Config]) -> None:
    for name, info in config.model_fields.items():
        if info.is_required():
            raise PluginError(f"{place}: the setting {name!r} has no default; every setting needs one")
        value = info.get_default(call_default_factory=True)
        for domain in info.metadata:
            if isinstance(domain, (Int, Float, Categorical)) and not domain.contains(value):
                raise PluginError(f"{place}.{name}: the default {value!r} lies outside its domain")
            one_of = domain.of if isinstance(domain, PerColumn) else domain
            if isinstance(one_of, OneOf) and one_of.kind not in KINDS:
                raise PluginError(f"{place}.{name}: {unknown('kind of plugin', one_of.kind, KINDS)}")
            if isinstance(domain, OneOf) and not isinstance(value, (Choice, NoneType)):
                raise PluginError(f"{place}.{name}: the default {value!r} is no Choice")
        if isinstance(info.annotation, type) and issubclass(info.annotation, Config):
            _check_settings(f"{place}.{name}", info.annotation)
