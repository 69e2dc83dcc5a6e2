"""The models of an artifact: written with all their settings, and built again from what was written."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
from pydantic import ValidationError
from scipy import sparse

from recsmith.artifacts.catalogue import MEDIA
from recsmith.artifacts.files import REMEDY, read_arrays, read_state, write_arrays, write_state
from recsmith.contracts.config import Choice, Config
from recsmith.contracts.content import ItemContent
from recsmith.contracts.domains import OneOf, PerColumn
from recsmith.contracts.errors import ArtifactError
from recsmith.inference.adapt import AdaptableModel, with_adaptation

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from recsmith.artifacts.catalogue import Catalogue
    from recsmith.contracts.data import FeatureMatrix, State
    from recsmith.contracts.plugins import BuildContext, Kind, Model
    from recsmith.wiring.registry import Registry


@dataclass(frozen=True, eq=False)
class Member:
    """One fitted model as plain data. `features` are those columns' that cannot be encoded anew: pictures, sounds.

    `model` is the fitted model itself, where it is at hand: once saved and read back it must score as it does.
    """

    configuration: Choice
    state: State
    encoders: Mapping[str, State] = field(default_factory=dict)  # by item column
    features: Mapping[str, FeatureMatrix] = field(default_factory=dict)  # by item column
    model: Model | None = None


@dataclass(frozen=True, eq=False)
class Restored:
    """A member that scores. `new_users` says how it serves a user that training has not seen, None: not at all."""

    model: Model
    new_users: Literal["model", "adapted"] | None


@dataclass(frozen=True, eq=False)
class Workshop:
    """Builds plugins for one catalogue, and notes in `asked` which ones."""

    registry: Registry
    catalogue: Catalogue
    asked: set[tuple[Kind, str]] = field(default_factory=set)

    def build(self, kind: Kind, choice: Choice, item_features: FeatureMatrix | None = None) -> Any:
        """The working object that a choice describes."""
        return self._context(item_features).part(kind, choice)

    def _context(self, item_features: FeatureMatrix | None) -> BuildContext:
        plain = self.registry.context(
            item_counts=self.catalogue.counts, users=len(self.catalogue.user_ids), item_features=item_features
        )

        def part(kind: Kind, choice: Choice) -> Any:
            self.asked.add((kind, choice.name))
            return self.registry.build(kind, choice, context)

        context = replace(plain, part=part)
        return context


def in_full(registry: Registry, kind: Kind, choice: Choice) -> Choice:
    """The choice with every default written out, so that a later version's defaults change nothing."""
    return Choice(name=choice.name, params=_params(registry, registry.config(kind, choice)))


def _params(registry: Registry, config: Config) -> dict[str, Any]:
    params = config.model_dump(mode="json")
    for name, about in type(config).model_fields.items():
        value = getattr(config, name)
        domain = next((part for part in about.metadata if isinstance(part, (OneOf, PerColumn))), None)
        if isinstance(value, Config):
            params[name] = _params(registry, value)
        elif isinstance(domain, OneOf) and isinstance(value, Choice):
            params[name] = in_full(registry, cast("Kind", domain.kind), value).model_dump(mode="json")
        elif isinstance(domain, PerColumn):
            kind = cast("Kind", domain.of.kind)
            chosen = {column: in_full(registry, kind, choice) for column, choice in value.items()}
            params[name] = {column: choice.model_dump(mode="json") for column, choice in chosen.items()}
    return params


def with_features(member: Member, workshop: Workshop) -> Member:
    """The member with the features of its media columns, taken while the media are still there."""
    content = _content(workshop, member)
    media = {column.name: column for column in workshop.catalogue.items if column.role in MEDIA}
    features = {
        name: _encoder(workshop, member, name, choice).features(media[name])
        for name, choice in content.encoders.items()
        if name in media
    }
    return replace(member, features=features)


def restore(member: Member, workshop: Workshop) -> Restored:
    """Build the model and give it its state.

    Raises:
        ArtifactError: an encoder of the configuration has no state, or a plugin cannot use what is there.
        PluginError: a plugin is unknown or refuses its settings.
    """
    config = workshop.registry.config("models", member.configuration)
    model = workshop.build("models", member.configuration, _item_features(workshop, member))
    _load(model, member.state, member.configuration.name)
    offers = workshop.registry.spec("models", member.configuration.name).offers
    meta_learner = getattr(config, "meta_learner", None)
    if isinstance(meta_learner, Choice):
        adapted = with_adaptation(cast("AdaptableModel", model), workshop.build("meta_learners", meta_learner))
        return Restored(adapted, "adapted")
    return Restored(model, "model" if "new_users" in offers else None)


def _content(workshop: Workshop, member: Member) -> ItemContent:
    content = getattr(workshop.registry.config("models", member.configuration), "content", None)
    return content if isinstance(content, ItemContent) else ItemContent()


def _item_features(workshop: Workshop, member: Member) -> FeatureMatrix | None:
    content = _content(workshop, member)
    if not content.encoders:
        return None
    columns = {column.name: column for column in workshop.catalogue.items}
    features = {}
    for name, choice in sorted(content.encoders.items()):  # as they were fused in training
        if name not in columns:
            raise ArtifactError(f"catalog/items.parquet: has no column {name!r}, which {choice.name} reads. {REMEDY}")
        if name in member.features:
            features[name] = member.features[name]
        else:
            features[name] = _encoder(workshop, member, name, choice).features(columns[name])
    fused: FeatureMatrix = workshop.build("fusers", content.fuser).fuse(features)
    return fused


def _encoder(workshop: Workshop, member: Member, column: str, choice: Choice) -> Any:
    if column not in member.encoders:
        raise ArtifactError(f"{member.configuration.name}: the encoder of column {column!r} has no state. {REMEDY}")
    encoder = workshop.build("encoders", choice)
    _load(encoder, member.encoders[column], choice.name)
    return encoder


def _load(plugin: Any, state: State, name: str) -> None:
    try:
        plugin.load(state)
    except (KeyError, ValueError, TypeError, IndexError, AttributeError, RuntimeError) as error:
        reason = f"{type(error).__name__}: {error}"
        advice = "Install the versions that the manifest names, or train anew."
        raise ArtifactError(f"{name}: the installed plugin cannot use its state ({reason}). {advice}") from error


# --- on disk ----------------------------------------------------------------------------------------------------------


def folder_name(column: str) -> str:
    """A column's name as a folder's: letters, digits, _ and - stay, the rest becomes its code in hexadecimal."""
    return "".join(mark if mark.isalnum() or mark in "_-" else f"%{ord(mark):04X}" for mark in column)


def write_member(folder: Path, member: Member) -> None:
    """Write config.json, weights.safetensors and encoders/."""
    write_state(folder, {"configuration": member.configuration.model_dump(mode="json")}, member.state)
    for column, state in member.encoders.items():
        place = folder / "encoders" / folder_name(column)
        write_state(place, {"column": column}, state)
        if column in member.features:
            write_arrays(place / "features.safetensors", _to_arrays(member.features[column]))


def read_member(folder: Path) -> Member:
    """Read what `write_member` wrote.

    Raises:
        ArtifactError: a file is missing or cannot be read.
    """
    about, state = read_state(folder)
    encoders, features = {}, {}
    for place in sorted((folder / "encoders").glob("*")):
        described, encoders_state = read_state(place)
        column = described.get("column")
        if not isinstance(column, str) or folder_name(column) != place.name:
            raise ArtifactError(f"{place / 'config.json'}: `column` is not the folder's. {REMEDY}")
        encoders[column] = encoders_state
        if (stored := place / "features.safetensors").is_file():
            features[column] = _from_arrays(stored)
    try:
        configuration = Choice.model_validate(about.get("configuration"))
    except ValidationError as error:
        raise ArtifactError(f"{folder / 'config.json'}: no `configuration` of a model. {REMEDY}") from error
    return Member(configuration, state, encoders, features)


def _to_arrays(features: FeatureMatrix) -> dict[str, Any]:
    if not sparse.issparse(features):
        return {"dense": features}
    matrix = sparse.csr_array(features)
    return {"data": matrix.data, "indices": matrix.indices, "indptr": matrix.indptr, "shape": np.array(matrix.shape)}


def _from_arrays(path: Path) -> FeatureMatrix:
    arrays = read_arrays(path)
    if "dense" in arrays:
        return arrays["dense"]
    try:
        parts = (arrays["data"], arrays["indices"], arrays["indptr"])
        matrix = sparse.csr_array(parts, shape=tuple(arrays["shape"].tolist()))
        matrix.check_format(full_check=True)
    except (KeyError, ValueError, TypeError) as error:
        raise ArtifactError(f"{path}: neither dense nor sparse features ({error}). {REMEDY}") from error
    return matrix
