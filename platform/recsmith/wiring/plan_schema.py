"""JSON Schema (draft 2020-12) of plan files: `contracts.plan.Plan` as `load_plan` reads it, with what is installed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, BeforeValidator

from recsmith.contracts.plan import Budget, Columns, DataPlan, Engine, Filter, Plan, duration
from recsmith.wiring.remarks import remarks
from recsmith.wiring.schema import DIALECT, mapping, space_content
from recsmith.wiring.settings import Schema, without_titles
from recsmith.wiring.spaces import spaces_folder

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from recsmith.contracts.data import Role
    from recsmith.contracts.plugins import SplitterSpec
    from recsmith.wiring.registry import Registry

_PARTS: tuple[type[BaseModel], ...] = (Columns, Filter, DataPlan, Budget, Engine)
_DURATION = r"^\s*(?=[0-9.]*[1-9])[0-9]+(?:\.[0-9]+)?\s*[smhd]?\s*$"  # as contracts.plan.duration reads it, above 0
_FILE = r"/|\.ya?ml$"
_NULL: Schema = {"type": "null"}  # last among several: an editor complains by the first
_CUT_OFFS = (5, 10, 20)  # that an editor offers


def plan_schema(
    registry: Registry, plugins: Iterable[str], columns: Mapping[str, Mapping[str, Role]] | None = None
) -> Schema:
    """JSON Schema of a plan file.

    Args:
        registry: the plugins whose names and settings it may hold.
        plugins: what its `plugins` and `without` may name.
        columns: role of every column, by table; None where the log is not known.
    """
    schema = without_titles(Plan.model_json_schema())
    space, space_defs = space_content(registry, columns)
    splits, split_defs = _splits(registry)
    defs: Schema = {**schema["$defs"], **split_defs, **space_defs, "space": space, "metric": _metric(registry)}
    for part in _PARTS:
        defs[part.__name__] = _described(part, defs[part.__name__])
    schema = _described(Plan, schema)
    names = sorted(path.stem for path in spaces_folder().glob("*.yaml"))
    plan, data = schema["properties"], defs["DataPlan"]["properties"]
    plugin = {"type": "array", "items": {"enum": sorted(set(plugins))}}
    _may_be(data["reader"], {"enum": [*registry.specs["readers"], None]})
    _may_be(plan["data"], {"type": "string"}, {"$ref": "#/$defs/DataPlan"})
    _may_be(plan["split"], *splits, _NULL)
    _may_be(plan["objective"], {"$ref": "#/$defs/metric"}, _NULL)
    _may_be(plan["metrics"], {"type": "array", "items": {"$ref": "#/$defs/metric"}})
    _may_be(plan["space"], {"enum": names}, {"type": "string", "pattern": _FILE}, {"$ref": "#/$defs/space"})
    _may_be(plan["overrides"], {"$ref": "#/$defs/space"})
    _may_be(plan["engine"], defs["Engine"]["properties"]["name"], {"$ref": "#/$defs/Engine"})
    _may_be(plan["plugins"], plugin, _NULL)
    _may_be(plan["without"], plugin)
    del defs["Choice"]
    return {"$schema": DIALECT, "title": "A recsmith plan", **schema, "$defs": defs}


def _may_be(place: Schema, *forms: Schema) -> None:
    """Say anew what may stand at a place; its default and its description stay."""
    kept = {key: place[key] for key in ("default", "description") if key in place}
    place.clear()
    place.update(kept | (forms[0] if len(forms) == 1 else {"anyOf": list(forms)}))


def _described(part: type[BaseModel], schema: Schema) -> Schema:
    """The schema of a part of the plan with the comments beside its fields, and durations as text."""
    said = remarks(part)  # type: ignore[arg-type]
    for name, info in part.model_fields.items():
        entry = schema["properties"][name]
        if name in said:
            entry["description"] = said[name].replace("None:", "left out:")
        marks = [*info.metadata, *(mark for one in getattr(info.annotation, "__args__", ()) for mark in _marks(one))]
        if any(isinstance(mark, BeforeValidator) and mark.func is duration for mark in marks):
            text = {"type": "string", "pattern": _DURATION, "examples": ["90s", "10m", "1.5h"]}
            seconds = {key: entry.pop(key) for key in ("type", "exclusiveMinimum") if key in entry}
            entry["anyOf"] = [*entry.get("anyOf", [seconds]), text]
    return schema


def _marks(annotation: Any) -> tuple[Any, ...]:
    return getattr(annotation, "__metadata__", ())


def _metric(registry: Registry) -> Schema:
    """The name of a metric: with a cut-off where it judges lists."""
    cut = [name for name, spec in registry.specs["metrics"].items() if spec.judges != "ratings"]  # type: ignore[attr-defined]
    whole = [name for name in registry.specs["metrics"] if name not in cut]
    forms: list[Schema] = [{"enum": [*(f"{name}@{k}" for name in cut for k in _CUT_OFFS), *whole]}]
    if cut:
        forms.append({"type": "string", "pattern": f"^(?:{'|'.join(map(re.escape, cut))})@0*[1-9][0-9]*$"})
    return {"anyOf": forms}


def _splits(registry: Registry) -> tuple[list[Schema], Schema]:
    """A splitter by its name, or with parameters beside the name or under `params`; and the definitions of those."""
    specs: Mapping[str, SplitterSpec] = registry.specs["splitters"]  # type: ignore[assignment]
    forms: list[Schema] = [{"enum": list(specs)}]
    defs: Schema = {}
    for name, spec in specs.items():
        settings = _described(spec.config, without_titles(spec.config.model_json_schema()))
        place = f"splitter.{name}"
        defs |= settings.pop("$defs", {}) | {place: settings}
        beside = {
            parameter: {"$ref": f"#/$defs/{place}/properties/{parameter}"} for parameter in settings["properties"]
        }
        form = mapping({"name": {"const": name}, "params": {"$ref": f"#/$defs/{place}"}} | beside)
        alone = {"if": {"required": ["params"]}, "then": {"propertyNames": {"enum": ["name", "params"]}}}
        makes = f"For the scenarios {', '.join(sorted(spec.scenarios))}."
        forms.append(form | alone | {"required": ["name"], "description": makes})
    return forms, defs
