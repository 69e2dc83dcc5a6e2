"""YAML files as plain data that remembers where everything stood."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from recsmith.contracts.errors import RecsmithError

Key = tuple[str | int, ...]


@dataclass(frozen=True)
class Document:
    """A mapping with the name of its source and the line of each key."""

    name: str
    content: dict[str, Any]
    lines: Mapping[Key, int] = field(default_factory=dict)

    def place(self, key: Key) -> str:
        """`file.yaml:12` for the nearest enclosing key that has a line, else the source's name."""
        for end in range(len(key), 0, -1):
            if key[:end] in self.lines:
                return f"{self.name}:{self.lines[key[:end]]}"
        return self.name


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
        loaded = YAML(typ="rt", pure=True).load(text)
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


def _plain(value: Any, key: Key, lines: dict[Key, int]) -> Any:
    if isinstance(value, CommentedMap):
        for name in value:
            lines[*key, str(name)] = value.lc.key(name)[0] + 1
        return {str(name): _plain(child, (*key, str(name)), lines) for name, child in value.items()}
    if isinstance(value, CommentedSeq):
        return [_plain(child, (*key, index), lines) for index, child in enumerate(value)]
    for kind in (bool, int, float, str):  # ruamel's own scalar types remember their spelling; drop that
        if isinstance(value, kind):
            return kind(value)
    return value


def parse_scalar(text: str) -> Any:
    """The value that `text` has in YAML: `1e-3` is a number, `[a, b]` a list."""
    try:
        return _plain(YAML(typ="rt", pure=True).load(text), (), {})
    except YAMLError:
        return text
