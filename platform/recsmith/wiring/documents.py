"""YAML files as plain data that remembers where everything stood."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.constructor import RoundTripConstructor
from ruamel.yaml.error import MarkedYAMLError, YAMLError

if TYPE_CHECKING:
    from pathlib import Path

    from recsmith.contracts.errors import RecsmithError

Key = tuple[str | int, ...]


@dataclass(frozen=True)
class Document:
    """A mapping with the name of its source and the line of each key and of each entry of a list."""

    name: str
    content: dict[str, Any]
    lines: dict[Key, int] = field(default_factory=dict)
    given: dict[Key, str] = field(default_factory=dict)  # where a key came from that the source does not hold

    def place(self, key: Key) -> str:
        """`file.yaml:12` for the nearest enclosing key that has a line, else the source's name."""
        for end in range(len(key), 0, -1):
            if key[:end] in self.given:
                return self.given[key[:end]]
            if key[:end] in self.lines:
                return f"{self.name}:{self.lines[key[:end]]}"
        return self.name

    def located(self, key: Key, sentence: str) -> str:
        """The sentence behind the place of what it speaks of."""
        place = self.place(key)
        return f"{place}: {sentence}" if place else sentence

    def below(self, name: str) -> Document:
        """The mapping under a key of the top level, as a document of its own; empty where there is none."""
        lines = {key[1:]: line for key, line in self.lines.items() if key[0] == name and len(key) > 1}
        given = {key[1:]: place for key, place in self.given.items() if key[0] == name and len(key) > 1}
        return Document(self.name, self.content.get(name) or {}, lines, given)


class _Constructor(RoundTripConstructor):
    """Reads a date as the text it is: no setting holds a date, and editors read it as text too."""


_Constructor.add_constructor("tag:yaml.org,2002:timestamp", lambda _, node: node.value)


def read_document(path: Path, error: type[RecsmithError]) -> Document:
    """Read a YAML file whose top level is a mapping.

    Raises:
        error: the file is missing, no UTF-8, no YAML (a key given twice is none), or no mapping.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise error(f"{path}: there is no such file.") from None
    except (OSError, UnicodeDecodeError) as cause:
        raise error(f"{path}: cannot be read: {cause}.") from cause
    try:
        loaded = _yaml().load(text)
    except MarkedYAMLError as cause:
        mark = cause.problem_mark or cause.context_mark
        line = f":{mark.line + 1}" if mark else ""
        raise error(f"{path}{line}: not valid YAML: {cause.problem or cause.context}.") from cause
    except YAMLError as cause:
        raise error(f"{path}: not valid YAML: {cause}.") from cause
    if loaded is None:
        return Document(str(path), {})
    if not isinstance(loaded, CommentedMap):
        raise error(f"{path}: the top level must be a mapping of names to values.")
    lines: dict[Key, int] = {}
    return Document(str(path), _plain(loaded, (), lines), lines)


def _yaml() -> YAML:
    yaml = YAML(typ="rt", pure=True)
    yaml.Constructor = _Constructor
    return yaml


def _plain(value: Any, key: Key, lines: dict[Key, int]) -> Any:
    if isinstance(value, CommentedMap):
        for name in value:
            if name in (value.lc.data or {}):  # a key merged in by `<<` has no line of its own
                lines[*key, str(name)] = value.lc.key(name)[0] + 1
        return {str(name): _plain(child, (*key, str(name)), lines) for name, child in value.items()}
    if isinstance(value, CommentedSeq):
        for index in range(len(value)):
            if index in (value.lc.data or {}):
                lines[*key, index] = value.lc.item(index)[0] + 1
        return [_plain(child, (*key, index), lines) for index, child in enumerate(value)]
    for kind in (bool, int, float, str):  # ruamel's own scalar types remember their spelling; drop that
        if isinstance(value, kind):
            return kind(value)
    return value


def parse_scalar(text: str) -> Any:
    """The value that `text` has in YAML: `1e-3` is a number, `[a, b]` a list."""
    try:
        return _plain(_yaml().load(text), (), {})
    except YAMLError:
        return text


def as_json(value: Any) -> str:
    """Plain data as JSON, to be validated strictly: text is no number, but 20.0 may stand where 20 is wanted."""
    return json.dumps(_whole(value), default=lambda other: other.item() if hasattr(other, "item") else str(other))


def _whole(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _whole(child) for name, child in value.items()}
    if isinstance(value, (list, tuple)):
        return [_whole(child) for child in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
