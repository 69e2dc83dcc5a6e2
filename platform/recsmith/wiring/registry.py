"""The registry: every spec that the plugins provide, by kind and name, and the building of what they describe."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
from pydantic import ValidationError

from recsmith.contracts.errors import PluginError, unknown
from recsmith.contracts.plugins import API_VERSION, BuildContext, Kind, Spec

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pluggy

    from recsmith.contracts.config import Choice, Config
    from recsmith.contracts.data import FeatureMatrix, LongArray

KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True, eq=False)
class Registry:
    """All specs, frozen. `origins` tells the entry point of each."""

    specs: Mapping[Kind, Mapping[str, Spec]]
    origins: Mapping[tuple[Kind, str], str]

    def spec(self, kind: Kind, name: str) -> Any:
        """The spec of that name.

        Raises:
            PluginError: there is none.
        """
        try:
            return self.specs[kind][name]
        except KeyError:
            raise PluginError(unknown(kind.removesuffix("s").replace("_", "-"), name, self.specs[kind])) from None

    def config(self, kind: Kind, choice: Choice) -> Config:
        """The settings that a choice describes.

        Raises:
            PluginError: the plugin is unknown, or a parameter is unknown or has a value of the wrong type.
        """
        spec: Spec = self.spec(kind, choice.name)
        try:
            return spec.config.model_validate(choice.params)
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
        item_features: FeatureMatrix | None = None,
    ) -> BuildContext:
        """A context whose `part` builds through this registry."""
        counts = np.zeros(0, np.int64) if item_counts is None else item_counts

        def part(kind: Kind, choice: Choice) -> Any:
            return self.build(kind, choice, context)

        context = BuildContext(users, len(counts), counts, seed, device, part, item_features)
        return context


def build_registry(manager: pluggy.PluginManager) -> Registry:
    """Ask every plugin for its specs.

    Raises:
        PluginError: two plugins offer one name, or a spec is written for another API version.
    """
    specs: dict[Kind, dict[str, Spec]] = {kind: {} for kind in KINDS}
    origins: dict[tuple[Kind, str], str] = {}
    for kind in KINDS:
        caller = getattr(manager.hook, f"provide_{kind}")
        for implementation in caller.get_hookimpls():
            for spec in implementation.function():
                _admit(specs[kind], origins, kind, spec, implementation.plugin_name)
    frozen = {kind: MappingProxyType(dict(sorted(named.items()))) for kind, named in specs.items()}
    return Registry(MappingProxyType(frozen), MappingProxyType(origins))


def _admit(named: dict[str, Spec], origins: dict[tuple[Kind, str], str], kind: Kind, spec: Spec, origin: str) -> None:
    if spec.api_version != API_VERSION:
        raise PluginError(
            f"plugin {origin!r}: {spec.name!r} is written for plugin API {spec.api_version}, this is "
            f"{API_VERSION}. Install a version of the plugin for API {API_VERSION}."
        )
    if spec.name in named:
        first = origins[kind, spec.name]
        raise PluginError(f"{kind}: {spec.name!r} is offered by plugin {first!r} and by {origin!r}: leave one out.")
    named[spec.name] = spec
    origins[kind, spec.name] = origin
