"""What the source says beside the fields of a configuration: the comment on a field's line is its documentation."""

from __future__ import annotations

import ast
import inspect
import io
import textwrap
import tokenize
from typing import TYPE_CHECKING

from pydantic import BaseModel

if TYPE_CHECKING:
    from recsmith.contracts.config import Config

_FOR_TOOLS = ("noqa", "type:", "pragma", "pylint:", "fmt:")  # comments that mean nothing to a reader


def remarks(config: type[Config]) -> dict[str, str]:
    """The comment of every field that has one, or its pydantic description; inherited fields included.

    A class without a source at hand (made at run time) has descriptions only.
    """
    found: dict[str, str] = {}
    for holder in reversed(config.__mro__):
        if issubclass(holder, BaseModel) and holder is not BaseModel:
            found |= _comments(holder)
    described = {name: info.description for name, info in config.model_fields.items() if info.description}
    return found | described


def _comments(holder: type) -> dict[str, str]:
    try:
        source = textwrap.dedent(inspect.getsource(holder))
    except (OSError, TypeError):
        return {}
    definition = ast.parse(source).body[0]
    by_line = {
        token.start[0]: token.string.lstrip("# ")
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT and not token.string.lstrip("# ").startswith(_FOR_TOOLS)
    }
    return {
        statement.target.id: " ".join(by_line[line] for line in lines)
        for statement in getattr(definition, "body", ())
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)
        if (lines := [line for line in range(statement.lineno, (statement.end_lineno or 0) + 1) if line in by_line])
    }
