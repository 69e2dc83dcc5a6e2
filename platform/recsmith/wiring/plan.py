"""Plans from files and from the command line."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

from pydantic import BaseModel, ValidationError

from recsmith.contracts.errors import PlanError, PluginError, unknown
from recsmith.contracts.plan import USUAL_MEMORY, Plan
from recsmith.wiring.documents import Document, as_json, parse_scalar, read_document
from recsmith.wiring.names import check_names, check_plugins
from recsmith.wiring.plugins import load_plugins
from recsmith.wiring.settings import members
from recsmith.wiring.spaces import is_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pydantic_core import ErrorDetails

    from recsmith.wiring.documents import Key

PLAN_SUFFIXES = (".yaml", ".yml")
DATAFRAME = "<dataframe>"  # the source of a plan whose log is handed over from Python


def load_plan(source: str | Path, changes: Mapping[str, Any] | None = None, settings: Iterable[str] = ()) -> Plan:
    """Read a plan file, or make the plan for a bare log; everything that it names is looked up among the plugins.

    Args:
        source: a YAML plan, or the file or folder of a log. In a plan file a relative `data.source`, and a `space`
            that is a file, are relative to it.
        changes: dotted plan keys with values, as from command-line options; None values are ignored.
        settings: `a.b=c` texts. A key of the plan changes the plan; a key of the space (`model.…`) changes the space.

    Raises:
        PlanError: the file cannot be read, or a value is wrong or unknown: names the file, the line and the key.
        SpaceError: the same in its space.
    """
    document = _document(Path(source))
    for key, value in (changes or {}).items():
        if value is not None:
            _put(document, tuple(key.split(".")), value, "")
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals or not key.strip():
            raise PlanError(f"--set {setting}: write it as name=value, for example --set model.ease.l2=300.")
        _set(document, key.strip(), parse_scalar(text))
    return check_plan(document)


def check_plan(document: Document) -> Plan:
    """Validate a plan's content and look up what it names.

    Raises:
        PlanError: names the file, the line and the key of the first wrong value.
        SpaceError: the same in its space.
    """
    try:
        plan = Plan.model_validate_json(as_json(document.content), strict=True)
    except ValidationError as error:
        raise PlanError(_sentence(document, error.errors()[0])) from error
    check_plugins(plan, document)
    try:
        registry = load_plugins(plan.plugins, plan.without).registry
    except PluginError as error:
        raise PlanError(document.located(("plugins",), f"plugins: {error}")) from error
    check_names(plan, registry, document)
    return plan


def _document(source: Path) -> Document:
    if source.suffix.lower() not in PLAN_SUFFIXES:
        return Document("plan", {"name": _name(source), "data": {"source": os.path.abspath(source)}})
    document = read_document(source, PlanError)
    data, space = document.content.get("data"), document.content.get("space")
    if isinstance(data, str):
        document.content["data"] = data = {"source": data}
    if isinstance(data, dict) and isinstance(data.get("source"), str) and data["source"] != DATAFRAME:
        data["source"] = os.path.abspath(source.parent / data["source"])
    if isinstance(space, str) and is_file(space):
        document.content["space"] = os.path.abspath(source.parent / space)
    memory = document.content.get("memory")
    if isinstance(memory, str) and memory != USUAL_MEMORY:
        document.content["memory"] = os.path.abspath(source.parent / Path(memory).expanduser())
    document.content.setdefault("name", _name(source))
    return document


def _name(source: Path) -> str:
    return source.absolute().name.split(".")[0] or "study"


def _set(document: Document, key: str, value: Any) -> None:
    first = key.split(".", maxsplit=1)[0]
    if first == "model":
        _put(document, ("overrides", key), value, f"--set {key}")
    elif first in Plan.model_fields:
        _put(document, tuple(key.split(".")), value, f"--set {key}")
    else:
        raise PlanError(f"--set {key}: {unknown('setting', first, [*Plan.model_fields, 'model'])}")


def _put(document: Document, key: tuple[str, ...], value: Any, place: str) -> None:
    """Put a value into a document that was read from a file, and remember that it comes from elsewhere."""
    _put_at(document.content, key, value)
    for stale in [line for line in document.lines if line[: len(key)] == key]:
        del document.lines[stale]
    for stale in [other for other in document.given if other[: len(key)] == key]:
        del document.given[stale]
    document.given[key] = place


def put(content: dict[str, Any], key: str, value: Any) -> None:
    """Put a value into nested mappings under a dotted key.

    Raises:
        PlanError: the key leads through something that is no mapping.
    """
    _put_at(content, tuple(key.split(".")), value)


def _put_at(content: dict[str, Any], key: tuple[str, ...], value: Any) -> None:
    *parents, last = key
    for parent in parents:
        child = content.setdefault(parent, {})
        if not isinstance(child, dict):
            raise PlanError(f"{'.'.join(key)}: {parent!r} holds {child!r}, so nothing can be set below it.")
        content = child
    content[last] = value


def _sentence(document: Document, error: ErrorDetails) -> str:
    key = _written(document.content, error)
    *parents, last = key
    name, above = ".".join(str(part) for part in key), "".join(f"{part}." for part in parents).rstrip(".")
    if error["type"] == "missing":
        return document.located(key, f"{name} is missing.")
    if error["type"] == "extra_forbidden":
        model = next(member for member in members(_annotation(parents)) if hasattr(member, "model_fields"))
        sentence = unknown("key", str(last), model.model_fields)
        return document.located(key, f"{above}: {sentence}" if above else sentence)
    if error["type"] == "literal_error":
        choices = _choices(_annotation(error["loc"]))
        return document.located(key, f"{name}: {unknown('value', str(error['input']), choices)}")
    reason = error["msg"].removeprefix("Value error, ").replace("Input should", "it should")
    given = "" if error["type"] == "value_error" else f" (given: {error['input']!r})"
    return document.located(key, f"{name}: {reason}{given}.")


def _written(content: Any, error: ErrorDetails) -> Key:
    """The key of an error as far as it was written: without the names of the types of a union, and of short forms."""
    key: list[str | int] = []
    for part in error["loc"]:
        if (isinstance(content, dict) and part in content) or (isinstance(content, list) and isinstance(part, int)):
            content = content[part]  # type: ignore[index]
            key.append(part)
    if error["type"] == "missing":
        key.append(error["loc"][-1])
    return tuple(key)


def _annotation(key: Iterable[str | int]) -> Any:
    """What the plan may hold under a key."""
    annotation: Any = Plan
    for part in key:
        for member in members(annotation):
            if isinstance(member, type) and issubclass(member, BaseModel) and part in member.model_fields:
                annotation = member.model_fields[str(part)].annotation
            elif get_origin(member) is dict:
                annotation = get_args(member)[1]
    return annotation


def _choices(annotation: Any) -> list[str]:
    return [choice for member in members(annotation) if get_origin(member) is Literal for choice in get_args(member)]
