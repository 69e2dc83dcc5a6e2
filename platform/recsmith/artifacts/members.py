"""The models of an artifact: written with all their settings, and built again from what was written."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

import numpy as np
from pydantic import ValidationError
from scipy import sparse

from recsmith.artifacts.files import REMEDY, read_arrays, read_state, write_arrays, write_state
from recsmith.contracts.config import Choice, Config
from recsmith.contracts.content import Content, Table, wanted_content
from recsmith.contracts.domains import OneOf, PerColumn
from recsmith.contracts.errors import ArtifactError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from recsmith.artifacts.catalogue import Catalogue
    from recsmith.contracts.content import ItemContent, UserContent
    from recsmith.contracts.data import FeatureMatrix, State
    from recsmith.contracts.models import Model
    from recsmith.contracts.plugins import BuildContext, Kind
    from recsmith.inference.adapt import AdaptableModel
    from recsmith.wiring.registry import Registry

FEATURES = "features.safetensors"


@dataclass(frozen=True, eq=False)
class Member:
    """One fitted model as plain data, with the encoded columns that it was fitted on and what encoded them.

    `model` is the fitted model itself, where it is at hand: once saved and read back it must score as it does.
    """

    configuration: Choice
    state: State
    columns: Mapping[tuple[Table, str], EncodedColumn] = field(default_factory=dict)  # by table and column
    model: Model | None = None


@dataclass(frozen=True, eq=False)
class EncodedColumn:
    """The features of one column, and the state of their encoder; whether its last part learnt with the model."""

    features: FeatureMatrix
    encoder: State
    learns: bool = False


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

    def build(self, kind: Kind, choice: Choice, content: Mapping[Table, Content] | None = None) -> Any:
        """The working object that a choice describes."""
        return self.context(content or {}).part(kind, choice)

    def context(self, content: Mapping[Table, Content]) -> BuildContext:
        """What factories may know."""
        plain = self.registry.context(
            item_counts=self.catalogue.counts,
            users=len(self.catalogue.user_ids),
            item_content=content.get("items"),
            user_content=content.get("users"),
            candidates=self.catalogue.candidates,
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


def restore(member: Member, workshop: Workshop) -> Restored:
    """Build the model and give it its state.

    Raises:
        ArtifactError: a column of the configuration has no features, or a plugin cannot use what is there.
        PluginError: a plugin is unknown or refuses its settings.
    """
    config = workshop.registry.config("models", member.configuration)
    content = {table: _content(workshop, member, table, wanted) for table, wanted in wanted_content(config).items()}
    model = workshop.build("models", member.configuration, content)
    meta_learner = getattr(config, "meta_learner", None)
    if isinstance(meta_learner, Choice):
        from recsmith.inference.adapt import AdaptedModel  # here: a model without a head to adapt may need no torch

        learner = workshop.build("meta_learners", meta_learner)
        tasks = getattr(config, "tasks", None)
        model = AdaptedModel(cast("AdaptableModel", model), learner, workshop.context(content), tasks)
    _load(model, member.state, member.configuration.name)
    return Restored(model, serves_new_users(workshop.registry, member.configuration))


def serves_new_users(registry: Registry, configuration: Choice) -> Literal["model", "adapted"] | None:
    """How a model of these settings serves a user that training has not seen; None: not at all."""
    if isinstance(getattr(registry.config("models", configuration), "meta_learner", None), Choice):
        return "adapted"
    return "model" if "new_users" in registry.spec("models", configuration.name).offers else None


def _content(workshop: Workshop, member: Member, table: Table, wanted: ItemContent | UserContent) -> Content:
    """The encoded columns as they were in training; of the encoders only those are built that learn with the model."""
    features, trained = {}, {}
    for name, choice in sorted(wanted.encoders.items()):  # as they were fused in training
        if (table, name) not in member.columns:
            raise ArtifactError(f"{member.configuration.name}: column {name!r} of {table} has no features. {REMEDY}")
        column = member.columns[table, name]
        features[name] = column.features
        if column.learns:
            trained[name] = workshop.build("encoders", choice)
            _load(trained[name], column.encoder, choice.name)
    catalogue = workshop.catalogue
    rows = len(catalogue.item_ids if table == "items" else catalogue.user_ids)
    for name, matrix in features.items():
        if matrix.ndim != 2 or matrix.shape[0] != rows:  # noqa: PLR2004 - a matrix
            shape = list(matrix.shape)
            raise ArtifactError(f"{member.configuration.name}: {name!r}: features {shape} for {rows} {table}. {REMEDY}")
    return Content(rows, features, workshop.build("fusers", wanted.fuser), trained)


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
    for (table, name), column in member.columns.items():
        place = folder / "encoders" / table / folder_name(name)
        write_state(place, {"column": name, "learns": column.learns}, column.encoder)
        write_arrays(place / FEATURES, _to_arrays(column.features))


def read_member(folder: Path) -> Member:
    """Read what `write_member` wrote.

    Raises:
        ArtifactError: a file is missing or cannot be read.
    """
    about, state = read_state(folder)
    columns = {}
    for table in get_args(Table):
        for place in sorted((folder / "encoders" / table).glob("*")):
            described, encoder = read_state(place)
            name = described.get("column")
            if not isinstance(name, str) or folder_name(name) != place.name:
                raise ArtifactError(f"{place / 'config.json'}: `column` is not the folder's. {REMEDY}")
            learns = described.get("learns") is True
            columns[table, name] = EncodedColumn(_from_arrays(place / FEATURES), encoder, learns=learns)
    try:
        configuration = Choice.model_validate(about.get("configuration"))
    except ValidationError as error:
        raise ArtifactError(f"{folder / 'config.json'}: no `configuration` of a model. {REMEDY}") from error
    return Member(configuration, state, columns)


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
