"""What a file may write for one setting: a value, a list of values or a range; as a check and as JSON Schema.

Both say the same, so that an editor refuses what the program refuses. A number may leave the domain that stands beside
the code (a file widens); a text may not, for the code knows no other.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, TypeAdapter, ValidationError

from recsmith.contracts.domains import Categorical, Domain, Float, Int
from recsmith.contracts.errors import unknown
from recsmith.wiring.documents import as_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic.fields import FieldInfo

LISTS = (list, tuple, set, frozenset)
Schema = dict[str, Any]


def members(annotation: Any) -> Iterator[Any]:
    """The types that an annotation unites, without their metadata."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from members(get_args(annotation)[0])
    elif origin in {Union, UnionType}:
        for member in get_args(annotation):
            yield from members(member)
    else:
        yield annotation


def reason(error: Exception) -> str:
    """What is wrong, as the end of a sentence."""
    text = str(error.errors()[0]["msg"]) if isinstance(error, ValidationError) else str(error)
    return text.removeprefix("Value error, ").replace("Input should", "it should")


@dataclass(frozen=True, eq=False)
class Setting:
    """One field of a configuration, and the domain beside it."""

    info: FieldInfo
    domain: Domain | None

    @cached_property
    def holds(self) -> frozenset[Any]:
        """The classes of the values."""
        return frozenset(get_origin(member) or member for member in members(self.info.annotation))

    @property
    def lists(self) -> bool:
        """Whether a list is a value here, and no list of values."""
        return any(member in LISTS for member in self.holds)

    @property
    def mappings(self) -> bool:
        """Whether a mapping is a value here, and no range."""
        return any(isinstance(kind, type) and issubclass(kind, (dict, BaseModel)) for kind in self.holds)

    @property
    def texts(self) -> tuple[str, ...]:
        """The only texts allowed; none where any is."""
        choices = self.domain.choices if isinstance(self.domain, Categorical) else ()
        return tuple(choice for choice in choices if isinstance(choice, str))

    @cached_property
    def range_of(self) -> type[Int | Float] | None:
        """The domain that a range gives: of whole numbers where the setting holds nothing else."""
        if float in self.holds:
            return Float
        return Int if self.holds - {NoneType} == {int} else None

    @cached_property
    def _adapter(self) -> TypeAdapter[Any]:
        return TypeAdapter(self.info.rebuild_annotation())

    def value(self, value: Any) -> Any:
        """`value`, if the setting can hold it.

        Raises:
            ValueError: it cannot.
        """
        if isinstance(value, bool) and not self.holds & {bool, Any, object}:
            msg = "yes and no are not allowed here"
            raise ValueError(msg)
        if self.texts and isinstance(value, str) and value not in self.texts:
            raise ValueError(unknown("value", value, self.texts))
        return self._adapter.validate_json(as_json(value), strict=True)

    def choices(self, values: list[Any]) -> Categorical:
        """The domain that a list of values gives.

        Raises:
            ValueError: the setting cannot hold one of them, there is none, or one is there twice.
        """
        return Categorical(tuple(self.value(value) for value in values))

    def range(self, ends: dict[str, Any]) -> Int | Float:
        """The domain that `{low: …, high: …}` gives.

        Raises:
            ValueError: it is not written so, or the setting holds no numbers.
        """
        if self.range_of is None:
            msg = "only numbers have a range: give a value or a list of values"
            raise ValueError(msg)
        optional = {"log", "step"} if self.range_of is Int else {"log"}
        if not {"low", "high"} <= set(ends) <= {"low", "high"} | optional:
            msg = f"a range is written {{low: …, high: …}} and may say {' and '.join(sorted(optional))}"
            raise ValueError(msg)
        bounds = {end: self.value(ends[end]) for end in ("low", "high")}
        domain: TypeAdapter[Int | Float] = TypeAdapter(self.range_of)
        return domain.validate_json(as_json(ends | bounds), strict=True)

    def value_schema(self) -> Schema:
        """JSON Schema of one value."""
        schema: Schema = without_titles(self._adapter.json_schema())
        if not self.texts:
            return schema
        if self.holds == {str}:
            return {"enum": list(self.texts)}
        return {"allOf": [schema, {"anyOf": [{"not": {"type": "string"}}, {"enum": list(self.texts)}]}]}

    def schema(self) -> Schema:
        """JSON Schema of all that a file may write here."""
        value = self.value_schema()
        forms = [value]
        if not self.lists:
            nothing = {"not": {"type": ["null", "array", "object"]}}
            item = {"allOf": [value, nothing]} if self.holds - {bool, int, float, str} else value
            forms.append({"type": "array", "items": item, "minItems": 1, "uniqueItems": True})
        if self.range_of is not None and not self.mappings:
            forms.append(_range_schema(value, whole=self.range_of is Int))
        return {"anyOf": forms}


def _range_schema(value: Schema, *, whole: bool) -> Schema:
    """JSON Schema of a range. That its low end is not above its high end is beyond JSON Schema."""
    number = {"type": "integer" if whole else "number"}
    end = number if value == number else {"allOf": [value, number]}
    properties: Schema = {"low": end, "high": end, "log": {"type": "boolean"}}
    positive: Schema = {"low": {"exclusiveMinimum": 0}}
    if whole:
        properties["step"] = {"type": "integer", "minimum": 1}
        positive["step"] = {"const": 1}
    return {
        "type": "object",
        "properties": properties,
        "required": ["low", "high"],
        "additionalProperties": False,
        "if": {"properties": {"log": {"const": True}}, "required": ["log"]},
        "then": {"properties": positive},
    }


def without_titles(schema: Any) -> Any:
    """A generated schema without the titles that only repeat the names."""
    if isinstance(schema, list):
        return [without_titles(entry) for entry in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        name: {key: without_titles(entry) for key, entry in part.items()}
        if name == "properties"
        else without_titles(part)
        for name, part in schema.items()
        if not (name == "title" and isinstance(part, str))
    }
