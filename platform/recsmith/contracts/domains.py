"""Domains: the allowed values of one parameter. Bounds are inclusive everywhere.

A domain is written beside the field that it describes:

    dim: Annotated[int, Int(16, 256, log=True)] = 64
    loss: Annotated[Choice, OneOf("losses", needs={"ranking"})] = Choice(name="bpr")
"""

from __future__ import annotations

import math
from dataclasses import field
from typing import Annotated, Any, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

Scalar = bool | int | float | str


@dataclass(frozen=True)
class Int:
    """Whole numbers from `low` to `high`, both included; `log` draws evenly over magnitudes."""

    low: int
    high: int
    log: bool = False
    step: int = 1
    kind: Literal["int"] = "int"

    def __post_init__(self) -> None:
        if self.low > self.high or self.step < 1 or (self.log and (self.low < 1 or self.step != 1)):
            msg = f"not a range of whole numbers: {self}"
            raise ValueError(msg)

    def contains(self, value: object) -> bool:
        """Whether `value` is one of these numbers."""
        if isinstance(value, bool) or not isinstance(value, int):
            return False
        return self.low <= value <= self.high and (value - self.low) % self.step == 0

    def nearest(self, value: object) -> int:
        """The allowed number closest to `value`."""
        number = float(value) if isinstance(value, (int, float)) else float(self.low)
        steps = round((min(max(number, self.low), self.high) - self.low) / self.step)
        return self.low + min(steps, (self.high - self.low) // self.step) * self.step

    def corners(self) -> tuple[Scalar, ...]:
        """The extreme values."""
        return (self.low, self.nearest(self.high))


@dataclass(frozen=True)
class Float:
    """Real numbers from `low` to `high`, both included; `log` draws evenly over magnitudes."""

    low: float
    high: float
    log: bool = False
    kind: Literal["float"] = "float"

    def __post_init__(self) -> None:
        finite = math.isfinite(self.low) and math.isfinite(self.high)
        if not finite or self.low > self.high or (self.log and self.low <= 0):
            msg = f"not a range of numbers: {self}"
            raise ValueError(msg)

    def contains(self, value: object) -> bool:
        """Whether `value` lies in the range."""
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return False
        return self.low <= value <= self.high

    def nearest(self, value: object) -> float:
        """The allowed number closest to `value`."""
        number = float(value) if isinstance(value, (int, float)) else self.low
        return min(max(number, self.low), self.high)

    def corners(self) -> tuple[Scalar, ...]:
        """The extreme values."""
        return (self.low, self.high)


@dataclass(frozen=True)
class Categorical:
    """One of a few named values."""

    choices: tuple[Scalar, ...]
    kind: Literal["categorical"] = "categorical"

    def __post_init__(self) -> None:
        keys = [(type(choice), choice) for choice in self.choices]
        if not keys or len(set(keys)) != len(keys):
            msg = f"choices must be distinct and at least one: {self.choices}"
            raise ValueError(msg)

    def contains(self, value: object) -> bool:
        """Whether `value` is one of the choices (True is not 1)."""
        return any(type(choice) is type(value) and choice == value for choice in self.choices)

    def nearest(self, value: object) -> Scalar:
        """`value` where it is allowed, the nearest number among numbers, else the first choice."""
        if self.contains(value):
            return next(choice for choice in self.choices if choice == value)
        numbers = [c for c in self.choices if isinstance(c, (int, float)) and not isinstance(c, bool)]
        if numbers and isinstance(value, (int, float)) and not isinstance(value, bool):
            wanted = float(value)
            return min(numbers, key=lambda number: abs(number - wanted))
        return self.choices[0]

    def corners(self) -> tuple[Scalar, ...]:
        """Every choice."""
        return self.choices


Domain = Annotated[Int | Float | Categorical, Field(discriminator="kind")]


@dataclass(frozen=True)
class OneOf:
    """A choice among the registered specs of `kind` that offer all of `needs`.

    The parameters of each option are conditional on the choice. `optional` adds "none".
    """

    kind: str
    needs: frozenset[str] = frozenset()
    optional: bool = False


@dataclass(frozen=True)
class PerColumn:
    """For each column of `table` ("items" or "users") that an option can read, one choice of its own.

    The field holds a mapping from column name to `Choice`; options are filtered by the column's role.
    """

    table: Literal["items", "users"]
    of: OneOf


@dataclass(frozen=True)
class Narrowed:
    """Other domains for fields of a nested configuration: `Annotated[Training, Narrowed({...})]`.

    Keys are field names of the nested configuration, values replace the domains given there.
    """

    domains: dict[str, Any] = field(default_factory=dict)
