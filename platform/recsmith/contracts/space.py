"""A search space, resolved: a tree of parameters and choices with full-path names, as plain data.

`wiring.spaces` grows the tree from the installed plugins, a YAML file and `--set`; `search.suggest` walks
it. Paths are unique: `model.sasrec.training.loss.gbce.negatives` names one distribution for ever.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from recsmith.contracts.domains import Domain

NONE = "none"  # the option of an optional choice that picks nothing


class Node(BaseModel):
    """What every node of the tree shares."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str


class Parameter(Node):
    """A value drawn from `domain`."""

    kind: Literal["parameter"] = "parameter"
    domain: Domain
    default: Any


class Fixed(Node):
    """A value that is not searched."""

    kind: Literal["fixed"] = "fixed"
    value: Any


class Group(Node):
    """Named nodes that are all present: the fields of a configuration, or one choice per column."""

    kind: Literal["group"] = "group"
    fields: dict[str, AnyNode] = Field(default_factory=dict)


class OptionNode(Node):
    """A choice among plugins; the chosen option's group is conditional on the choice.

    The option "none" has an empty group and yields no `Choice` at all.
    """

    kind: Literal["option"] = "option"
    options: dict[str, Group]
    default: str


AnyNode = Annotated[Parameter | Fixed | Group | OptionNode, Field(discriminator="kind")]
Group.model_rebuild()
OptionNode.model_rebuild()


class LeftOut(BaseModel):
    """An option that the log or its host cannot use, and why."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str
    reason: str


class SearchSpace(BaseModel):
    """All models of a study with all their parameters, and what was left out and why."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    root: OptionNode  # path "model": one option per model
    left_out: tuple[LeftOut, ...] = ()
