"""The state of a gradient model brought to more users and items: old rows kept, new ones begin at the mean.

Nothing is asked of a model. Which axes of its arrays belong to users or items is found by building it for one user
more and for one item more. Sound is this where an axis of I + c places holds the items in its last I ones, in the order
of their numbers (users likewise), where JSON values depend on neither, and where no array of whole numbers does. What
comes out is checked: the grown model must score old items for old users as before, or it is not used. A little may
differ, as where a network scales its features by all rows; buckets that follow ranks of popularity are found out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from recsmith.contracts.data import Requests, State
from recsmith.data.features import stacked
from recsmith.study.prepare import build
from recsmith.updates.features import blank_rows

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from recsmith.contracts.content import Content
    from recsmith.contracts.data import Histories, LongArray
    from recsmith.contracts.models import Model
    from recsmith.study.prepare import Prepared

Side = Literal["users", "items"]
CHECKED = 20  # users
ALIKE = 0.99  # correlation of old and new scores, at least


class NotGrownError(Exception):
    """This state cannot be brought to another size; its model is to be fitted anew."""


@dataclass(frozen=True, eq=False)
class Renumbering:
    """Where old users and items stand among the new ones."""

    users: LongArray  # [U before] new number of each old one
    items: LongArray  # [I before]
    users_after: int
    items_after: int

    def of(self, side: Side) -> tuple[LongArray, int]:
        """The new numbers of one side, and its size."""
        return (self.users, self.users_after) if side == "users" else (self.items, self.items_after)

    def histories(self, histories: Histories) -> Histories:
        """The same lists by new item numbers."""
        return replace(histories, item_num=self.items[histories.item_num].astype(np.int32))


def grow(state: State, prepared: Prepared, numbers: Renumbering) -> State:
    """The state as one of the untrained model in `prepared`, which was built for the new sizes.

    Raises:
        NotGrownError: an array's shape or type does not allow it.
    """
    sides = _sides(prepared)
    if set(sides) != set(state.arrays):
        raise NotGrownError("its arrays have other names before it learns")
    return State(state.values, {name: _grown(name, state.arrays[name], sides[name], numbers) for name in sides})


@dataclass(frozen=True)
class _Axis:
    """One axis of an array: its length for the new sizes, and whose it is."""

    length: int
    side: Side | None


def _sides(prepared: Prepared) -> Mapping[str, tuple[_Axis, ...]]:
    """Whose every axis of every array is, by building the model for one user more and for one item more."""
    shapes = [
        {name: array.shape for name, array in model.state().arrays.items()}
        for model in (prepared.model, _one_more(prepared, "users"), _one_more(prepared, "items"))
    ]
    return {
        name: tuple(_axis(name, *(each[name][place] for each in shapes)) for place in range(len(shape)))
        for name, shape in shapes[0].items()
    }


def _axis(name: str, length: int, one_user_more: int, one_item_more: int) -> _Axis:
    sides: dict[tuple[int, int], Side | None] = {(0, 0): None, (1, 0): "users", (0, 1): "items"}
    change = (one_user_more - length, one_item_more - length)
    if change not in sides:
        raise NotGrownError(f"an axis of {name!r} grows by {change} with users and items")
    return _Axis(length, sides[change])


def _one_more(prepared: Prepared, side: Side) -> Any:
    """The untrained model for one more user or item, of whom nothing is known."""
    context = prepared.context
    if side == "users":
        context = replace(context, users=context.users + 1, user_content=_with_blank(context.user_content))
    else:
        counts = np.append(context.item_counts, np.int64(1))
        context = replace(
            context, items=len(counts), item_counts=counts, item_content=_with_blank(context.item_content)
        )
    return build(prepared.spec, prepared.config, context)[0]


def _with_blank(content: Content | None) -> Content | None:
    if content is None:
        return None
    features = {name: stacked(matrix, blank_rows(matrix, 1)) for name, matrix in content.features.items()}
    return replace(content, rows=content.rows + 1, features=features)


def _grown(name: str, array: npt.NDArray[Any], axes: tuple[_Axis, ...], numbers: Renumbering) -> npt.NDArray[Any]:
    if array.ndim != len(axes):
        raise NotGrownError(f"{name!r} has another number of axes")
    for place, axis in enumerate(axes):
        if axis.side is not None:
            array = _along(name, array, place, axis, *numbers.of(axis.side))
        elif array.shape[place] != axis.length:
            raise NotGrownError(f"{name!r} has another shape for another log")
    return array


def _along(
    name: str, array: npt.NDArray[Any], place: int, axis: _Axis, target: LongArray, after: int
) -> npt.NDArray[Any]:
    """One axis: the first places as they were, old rows at their new numbers, the mean of the old rows elsewhere."""
    first = axis.length - after
    if array.dtype.kind != "f" or first < 0 or array.shape[place] != first + len(target) or not len(target):
        raise NotGrownError(f"{name!r} is no table of numbers by user or item")
    rows = np.moveaxis(array, place, 0)
    grown = np.empty((axis.length, *rows.shape[1:]), array.dtype)
    grown[first:] = rows[first:].mean(axis=0, dtype=np.float64)
    grown[:first] = rows[:first]
    grown[first + target] = rows[first:]
    return np.ascontiguousarray(np.moveaxis(grown, 0, place))


def check_scores(before: Model, after: Model, histories: Histories, numbers: Renumbering) -> None:
    """See that old users' scores of old items are what they were.

    Raises:
        NotGrownError: they are not.
    """
    users = np.unique(np.linspace(0, len(histories) - 1, CHECKED).astype(np.int64))
    asked = Requests(users.astype(np.int32), histories.take(users))
    again = Requests(numbers.users[users].astype(np.int32), numbers.histories(asked.histories))
    expected, found = before.scores(asked), after.scores(again)[:, numbers.items]
    expected, found = (scores - scores.mean(axis=1, keepdims=True) for scores in (expected, found))
    sizes = float(np.sqrt(np.square(expected).sum() * np.square(found).sum()))
    if not (expected * found).sum() >= ALIKE * sizes:
        raise NotGrownError("brought to the new size, it scores known users otherwise")
