"""Plans from files and from the command line."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from recsmith.contracts.errors import PlanError, unknown
from recsmith.contracts.plan import OPEN_SCENARIOS, Plan
from recsmith.wiring.documents import Document, parse_scalar, read_document

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pydantic_core import ErrorDetails

PLAN_SUFFIXES = (".yaml", ".yml")
DATAFRAME = "<dataframe>"  # the source of a plan whose log is handed over from Python


def load_plan(source: str | Path, changes: Mapping[str, Any] | None = None, settings: Iterable[str] = ()) -> Plan:
    """Read a plan file, or make the plan for a bare log.

    Args:
        source: a YAML plan, or the file or folder of a log. A relative `data.source` in a plan file is relative to it.
        changes: dotted plan keys with values, as from command-line options; None values are ignored.
        settings: `a.b=c` texts. A key of the plan changes the plan; a key of the space (`model.…`) changes the space.

    Raises:
        PlanError: the file cannot be read, or a value is wrong or unknown.
    """
    document = _document(Path(source))
    content = document.content
    for key, value in (changes or {}).items():
        if value is not None:
            put(content, key, value)
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals or not key.strip():
            raise PlanError(f"--set {setting}: write it as name=value, for example --set model.ease.l2=300.")
        _set(content, key.strip(), parse_scalar(text))
    return check_plan(document)


def check_plan(document: Document) -> Plan:
    """Validate a plan's content.

    Raises:
        PlanError: names the file, the line and the key of the first wrong value.
    """
    try:
        plan = Plan.model_validate(document.content)
    except ValidationError as error:
        raise PlanError(_sentence(document, error.errors()[0])) from error
    if plan.scenario not in OPEN_SCENARIOS:
        ready = ", ".join(OPEN_SCENARIOS)
        raise PlanError(f"{document.name}: scenario: {plan.scenario!r} is not built yet. Ready: {ready}.")
    return plan


def _document(source: Path) -> Document:
    if source.suffix.lower() not in PLAN_SUFFIXES:
        return Document("plan", {"name": _name(source), "data": {"source": os.path.abspath(source)}})
    document = read_document(source, PlanError)
    data = document.content.get("data")
    if isinstance(data, str):
        document.content["data"] = data = {"source": data}
    if isinstance(data, dict) and isinstance(data.get("source"), str) and data["source"] != DATAFRAME:
        data["source"] = os.path.abspath(source.parent / data["source"])
    document.content.setdefault("name", _name(source))
    return document


def _name(source: Path) -> str:
    return source.absolute().name.split(".")[0] or "study"


def _set(content: dict[str, Any], key: str, value: Any) -> None:
    first = key.split(".", maxsplit=1)[0]
    if first == "model":
        content.setdefault("overrides", {})[key] = value
    elif first in Plan.model_fields:
        put(content, key, value)
    else:
        raise PlanError(f"--set {key}: {unknown('setting', first, [*Plan.model_fields, 'model'])}")


def put(content: dict[str, Any], key: str, value: Any) -> None:
    """Put a value into nested mappings under a dotted key.

    Raises:
        PlanError: the key leads through something that is no mapping.
    """
    *parents, last = key.split(".")
    for parent in parents:
        child = content.setdefault(parent, {})
        if not isinstance(child, dict):
            raise PlanError(f"{key}: {parent!r} holds {child!r}, so nothing can be set below it.")
        content = child
    content[last] = value


def _sentence(document: Document, error: ErrorDetails) -> str:
    place = document.place(error["loc"])
    key = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        model: Any = Plan
        for part in error["loc"][:-1]:
            model = getattr(model.model_fields.get(str(part)), "annotation", None)
            if not hasattr(model, "model_fields"):
                return f"{place}: {key}: unknown key."
        return f"{place}: {unknown('key', str(error['loc'][-1]), model.model_fields)}"
    if error["type"] == "missing":
        return f"{place}: {key} is missing."
    return f"{place}: {key}: {error['msg'].removeprefix('Value error, ')}."
