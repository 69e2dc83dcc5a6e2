"""What every combiner promises."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from recsmith.contracts.data import ABSENT
from recsmith.testing.conformance.attempt import attempt
from recsmith.testing.conformance.subject import bits, expect, unchanged

if TYPE_CHECKING:
    from collections.abc import Sequence

    from recsmith.contracts.config import Choice
    from recsmith.contracts.data import FloatArray, IntArray, LongArray
    from recsmith.testing.conformance.subject import Subject

    Lists = tuple[IntArray, FloatArray]

ROWS, WIDTH, ITEMS = 6, 8, 20
K = 5
LENGTHS = (1, 2, 5, 12, 40, 300)  # of the requests' histories


def lists_have_the_size_asked_for(subject: Subject) -> None:
    """It gives items [B, k] int32 and scores [B, k] float32."""
    items, scores = _combined(subject, _members())
    for name, array, dtype in (("items", items, np.int32), ("scores", scores, np.float32)):
        shape = getattr(array, "shape", None)
        expect(shape == (ROWS, K), f"the {name} have the shape {shape}, not {(ROWS, K)}")
        expect(array.dtype == dtype, f"the {name} are {array.dtype}, not {np.dtype(dtype)}")


def items_come_from_the_members(subject: Subject) -> None:
    """It recommends nothing that no member's list of that request holds."""
    members = _members()
    items, _ = _combined(subject, members)
    for row, shown in enumerate(items):
        strange = set(_present(shown)) - {item for member, _ in members for item in member[row].tolist()}
        expect(not strange, f"row {row} holds item {min(strange, default=None)}, which stands in no member's list")


def no_item_stands_twice(subject: Subject) -> None:
    """No list holds an item twice, however many members put it forward."""
    items, _ = _combined(subject, [_member(0), _member(0), _member(1)])
    for row, shown in enumerate(items):
        present = _present(shown)
        expect(len(present) == len(set(present)), f"row {row} holds an item twice: {present}")


def padding_stands_at_the_end(subject: Subject) -> None:
    """Members' padding is no item; its own padding, ABSENT with -inf, stands at the end and its scores stay finite."""
    members = [_shortened(_member(number), [2, 3, 4, 5, 6, WIDTH]) for number in range(2)]
    items, scores = _combined(subject, members, k=WIDTH)
    for row, (shown, value) in enumerate(zip(items, scores, strict=True)):
        found = shown != ABSENT
        count = int(found.sum())
        expect(found[:count].all(), f"row {row} has padding before an item: {shown.tolist()}")
        candidates = len({item for member, _ in members for item in _present(member[row])})
        expect(count <= candidates, f"row {row} holds {count} items of {candidates}: padding counts as an item")
        expect(np.isfinite(value[:count]).all(), f"row {row}: an item has the score {value[:count]}")
        expect((value[count:] == -np.inf).all(), f"row {row}: padding has the score {value[count:]}, not -inf")


def scores_descend(subject: Subject) -> None:
    """Scores are finite and descend with the ranks."""
    items, scores = _combined(subject, _members())
    for row, (shown, value) in enumerate(zip(items, scores, strict=True)):
        own = value[shown != ABSENT]
        expect(np.isfinite(own).all(), f"row {row} holds a score that is NaN or infinite: {own}")
        expect((np.diff(own) <= 0).all(), f"row {row}: the scores {own} do not descend")


def one_member_keeps_its_order(subject: Subject) -> None:
    """The list of a single member keeps its order."""
    member = _member(0)
    items, _ = _combined(subject, [member])
    wrong = np.flatnonzero((items != member[0][:, :K]).any(axis=1))
    row = int(wrong[0]) if len(wrong) else 0
    expect(not len(wrong), f"row {row}: {member[0][row, :K].tolist()} became {items[row].tolist()}")


def what_all_put_first_is_first(subject: Subject) -> None:
    """An item that every member puts first is first."""
    members = [_led_by(_member(number), item=3) for number in range(3)]
    items, _ = _combined(subject, members)
    wrong = np.flatnonzero(items[:, 0] != 3)  # noqa: PLR2004 - the item
    expect(not len(wrong), f"all members put item 3 first, but it is not first in the rows {wrong.tolist()}")


def longer_lists_than_there_are_items(subject: Subject) -> None:
    """Asked for more than its members hold together, it gives what there is, padded to the length asked for."""
    members, k = _members(), 3 * WIDTH + 10
    with attempt(f"asking for {k} items of lists of {WIDTH}"):
        items, scores = _combined(subject, members, k=k)
        expect(items.shape == scores.shape == (ROWS, k), f"asked for {k}, it gave {items.shape} and {scores.shape}")
        most = max(len({int(item) for member, _ in members for item in member[row]}) for row in range(ROWS))
        expect((items != ABSENT).sum(axis=1).max() <= most, f"a list holds more than the {most} items there are")


def lists_of_different_lengths(subject: Subject) -> None:
    """Members may have lists of different lengths, as short as one."""
    members = [_cut(_member(number), width) for number, width in enumerate((1, WIDTH, 3))]
    with attempt(f"combining lists of 1, {WIDTH} and 3 items"):
        items, scores = _combined(subject, members)
        expect(items.shape == scores.shape == (ROWS, K), f"it gave {items.shape} and {scores.shape}, not {(ROWS, K)}")


def empty_lists_are_combined(subject: Subject) -> None:
    """A member that cannot serve a request gives it an empty list; where all are empty, so is the answer."""
    nobody, half = [0] * ROWS, [0, WIDTH] * (ROWS // 2)
    with attempt("combining a member without any item with another one"):
        items, scores = _combined(subject, [_shortened(_member(0), nobody), _member(1)])
        expect((items != ABSENT).any(axis=1).all(), "where one member of two has no item, a list is empty")
        expect(not np.isnan(scores).any(), "where one member of two has no item, a score is NaN")
    with attempt("combining members that have no item for some requests"):
        items, scores = _combined(subject, [_shortened(_member(number), half) for number in range(2)])
        expect((items[::2] == ABSENT).all(), f"no member has an item for row 0, but it got {items[0].tolist()}")
        expect(not np.isnan(scores).any(), "where no member has an item, a score is NaN")


def equal_scores_are_combined(subject: Subject) -> None:
    """Members whose scores are all equal, or far larger than others', are combined to finite scores."""
    members = _members()
    items, scores = members[0]
    for name, changed in (("all equal", np.full_like(scores, 2)), ("a million times as large", 1_000_000 * scores)):
        with np.errstate(all="ignore"):
            _, got = _combined(subject, [(items, changed), *members[1:]])
        expect(np.isfinite(got).all(), f"where one member's scores are {name}, a score is NaN or infinite")


def histories_of_any_length_are_served(subject: Subject) -> None:
    """A request may come with any history: none, one interaction, or thousands."""
    for length in (0, 1, 10_000):
        with attempt(f"combining lists of requests with {length} interactions each"):
            items, scores = _combined(subject, _members(), lengths=np.full(ROWS, length, np.int64))
            where = f"where histories have {length} interactions"
            expect((items != ABSENT).all(), f"{where}, full lists give one with padding")
            expect(np.isfinite(scores).all(), f"{where}, a score is NaN or infinite")


def requests_do_not_touch_each_other(subject: Subject) -> None:
    """A request gets the list alone that it gets among others."""
    members = _members()
    items, scores = _combined(subject, members)
    for row in range(ROWS):
        lists = [(member[row : row + 1], score[row : row + 1]) for member, score in members]
        alone, value = _combined(subject, lists, lengths=_lengths()[row : row + 1])
        same = (alone[0] == items[row]).all() and np.allclose(value[0], scores[row], rtol=1e-5)
        expect(same, f"row {row} is {alone[0].tolist()} alone and {items[row].tolist()} among {ROWS}")


def lists_are_not_written_to(subject: Subject) -> None:
    """It writes neither into its members' lists nor into the lengths of the histories."""
    items, scores = (list(part) for part in zip(*_members(), strict=True))
    lengths = _lengths()
    unchanged([items, scores], lambda: _built(subject).combine(items, scores, K, lengths), "a member's list")
    unchanged(lengths, lambda: _built(subject).combine(items, scores, K, lengths), "the array of lengths")


def same_lists_same_answer(subject: Subject) -> None:
    """The same lists give the same answer, bit for bit, also by a fresh combiner."""
    combiner = _built(subject)
    items, scores = (list(part) for part in zip(*_members(), strict=True))
    first = bits(combiner.combine(items, scores, K, _lengths()))
    for which, other in (("it", combiner), ("a fresh one", _built(subject))):
        expect(first == bits(other.combine(items, scores, K, _lengths())), f"asked again, {which} gives another answer")


def every_corner_combines(subject: Subject) -> None:
    """Every corner of its search space combines lists to lists of the size asked for, with finite scores."""
    for label, choice in subject.corners():
        with attempt(label):
            items, scores = _combined(subject, _members(), choice=choice)
            expect(items.shape == (ROWS, K), f"{label}: the items have the shape {items.shape}, not {(ROWS, K)}")
            expect(np.isfinite(scores[items != ABSENT]).all(), f"{label}: a score is NaN or infinite")


CHECKS = (
    lists_have_the_size_asked_for,
    items_come_from_the_members,
    no_item_stands_twice,
    padding_stands_at_the_end,
    scores_descend,
    one_member_keeps_its_order,
    what_all_put_first_is_first,
    longer_lists_than_there_are_items,
    lists_of_different_lengths,
    empty_lists_are_combined,
    equal_scores_are_combined,
    histories_of_any_length_are_served,
    requests_do_not_touch_each_other,
    lists_are_not_written_to,
    same_lists_same_answer,
    every_corner_combines,
)


# --- the work ---------------------------------------------------------------------------------------------------------


def _member(number: int) -> Lists:
    """Items [B, WIDTH] and descending scores of one member, anew for every use."""
    generator = np.random.default_rng(number)
    items = np.stack([generator.permutation(ITEMS)[:WIDTH] for _ in range(ROWS)]).astype(np.int32)
    scores = -np.sort(-generator.normal(size=(ROWS, WIDTH)), axis=1).astype(np.float32)
    return items, scores


def _members() -> list[Lists]:
    return [_member(number) for number in range(3)]


def _lengths() -> LongArray:
    return np.array(LENGTHS, np.int64)


def _shortened(member: Lists, counts: Sequence[int]) -> Lists:
    """The same lists padded from place `counts[row]` on."""
    beyond = np.arange(WIDTH) >= np.array(counts)[:, None]
    items, scores = member
    return np.where(beyond, np.int32(ABSENT), items), np.where(beyond, np.float32(-np.inf), scores)


def _cut(member: Lists, width: int) -> Lists:
    return member[0][:, :width], member[1][:, :width]


def _led_by(member: Lists, item: int) -> Lists:
    """The same lists with `item` moved to the top."""
    items = np.stack([[item, *row[row != item]][:WIDTH] for row in member[0]]).astype(np.int32)
    return items, member[1]


def _present(row: IntArray) -> list[int]:
    found: list[int] = row[row != ABSENT].tolist()
    return found


def _built(subject: Subject, choice: Choice | None = None) -> Any:
    return subject.registry.build("combiners", choice or subject.choice(), subject.registry.context())


def _combined(
    subject: Subject,
    members: Sequence[Lists],
    k: int = K,
    choice: Choice | None = None,
    lengths: LongArray | None = None,
) -> Lists:
    items, scores = (list(part) for part in zip(*members, strict=True))
    combined: Lists = _built(subject, choice).combine(items, scores, k, _lengths() if lengths is None else lengths)
    return combined
