"""A log whose items nobody took yet can be ranked by what they look, sound and read like, and by nothing else.

Every item is of one hidden kind. The kind alone decides who likes it, and each of three media shows it: a picture
(`media.kind_picture`), a sound (`media.kind_sound`) and a text. Items are numbered so that the number tells nothing.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from recsmith.contracts.data import Column, Role, State
from recsmith.testing.logs import DAY, FIRST_MOMENT, fold_of, histories_of
from recsmith.testing.media import KINDS, kind_picture, kind_sound

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from recsmith.contracts.data import BoolArray, DoubleArray, FloatArray, Fold, IntArray, LongArray, Requests

MEDIA = ("picture", "sound", "text")
ROLES: dict[str, Role] = {"picture": "image", "sound": "audio", "text": "text"}
FOLDERS = {"picture": ("images", "png"), "sound": ("audio", "wav")}  # and how names end there
STREAM = {name: place for place, name in enumerate(("taken", "new", "moments", *MEDIA))}  # of random draws
FAVOURITE = 0.75  # share of the first of two liked kinds

# Words of each kind, 14 each.
WORDS = (
    "harbour anchor tide sail lighthouse gull sailor mast wave ship voyage shore ocean captain",
    "kettle oven spice ladle broth recipe flour garlic butter pan soup chef pastry kitchen",
    "violin chorus ballad organ waltz cello melody concert opera flute singer orchestra harmony piano",
    "granite summit glacier ridge cairn climber slope peak cliff avalanche valley hiker boulder mountain",
    "orchid trellis compost seedling fern hedge rose blossom soil tulip gardener shrub petal lawn",
    "engine piston clutch chassis garage gasket brake tyre motor exhaust gearbox mechanic radiator diesel",
    "galaxy comet orbit telescope planet nebula astronaut rocket star moon eclipse satellite meteor asteroid",
    "detective murder alibi clue suspect inspector crime witness police thief motive sleuth verdict robbery",
)
SLOTS = 8  # topical words in a text
OWN = 0.9  # chance that a topical word of a text is one of its own kind
PLAIN = (
    "new small classic bright quiet daily second simple long early modern careful warm plain famous rare old gentle "
    "short friendly"
)
OPENINGS = (
    "A {plain} collection about {word}, {word} and {word}",
    "Some notes on {word}, {word} and the {plain} {word}",
    "This brings a {word} together with {word} and {word}",
    "For all who love {word}, {word} or a {plain} {word}",
    "Everything you wanted to know of {word}, from the {word} to the {word}",
)
MIDDLES = (
    "It follows the {word} through a {plain} year and returns to {word} and {word}",
    "With a {plain} look at {word}, {word} and {word}",
    "Here a {word} meets the {plain} {word} and its {word}",
    "Much {word}, a little {word}, and {word} too",
    "There is {word} on every page, beside {plain} {word} and {word}",
)
ENDINGS = (
    "Comes with {word} and {word}, a {plain} gift for friends",
    "A {plain} choice for weekends, {word} and {word} included",
    "Many found the {word} {plain} and liked its {word} all the same",
    "You will remember the {word} and the {plain} {word}",
    "Nothing else shows {word} or {word} in so {plain} a light",
)


@dataclass(frozen=True)
class ContentLog:
    """What a log is made of.

    `noise` is the share of interactions with items of any kind. `confusion` is the chance that a medium of an item
    shows some kind at random, in place of its own: drawn for each medium by itself, so several know more than one.
    """

    users: int = 400
    items: int = 400
    kinds: int = KINDS
    length: int = 20  # interactions per user, each with another item
    cold: float = 0.2  # share of the items that are new, and of every user's interactions that are with those
    noise: float = 0.1
    confusion: float = 0.0
    seed: int = 0
    media: tuple[str, ...] = MEDIA  # which to make: any of MEDIA

    def __post_init__(self) -> None:
        """See that it can be made.

        Raises:
            ValueError: it cannot.
        """
        if not 2 <= self.kinds <= KINDS:  # noqa: PLR2004 - one kind tells nothing apart
            raise ValueError(f"kinds is {self.kinds}; there are 2 to {KINDS}")
        if not set(self.media) <= set(MEDIA):
            raise ValueError(f"media are {self.media}; there are {MEDIA}")
        new = self.new_items.sum()
        if not (0 < self.new_length <= new and 0 < self.length - self.new_length <= self.items - new):
            raise ValueError(f"{self.items} items, {new} of them new, are too few for {self.length} interactions each")

    @property
    def new_length(self) -> int:
        """Interactions of each user with new items."""
        return round(self.cold * self.length)

    @property
    def new_items(self) -> BoolArray:
        """Which items are new, [I]: some rounds of items, with one item of each kind."""
        rounds = self.items // self.kinds
        drawn = np.random.default_rng([self.seed, STREAM["new"]]).permutation(rounds)
        return np.isin(np.arange(self.items) // self.kinds, drawn[: round(self.cold * rounds)])


USUAL = ContentLog()


def kinds_of_items(ids: Iterable[Any], kinds: int = KINDS) -> IntArray:
    """The kind of every item by its identifier "i0", "i1", …: of each `kinds` that follow, one is of each kind.

    They stand in an order that no model can guess, equal for all logs of so many kinds.
    """
    numbers = np.array([int(str(item).removeprefix("i")) for item in ids], np.int64)
    rounds = int(numbers.max(initial=0)) // kinds + 1
    table = np.concatenate([np.random.default_rng([kinds, each]).permutation(kinds) for each in range(rounds)])
    return table.astype(np.int32)[numbers]


def kinds_of(fold: Fold, kinds: int = KINDS) -> IntArray:
    """The hidden kind of every item of a fold, [I]; also of one that was split from files of `write_content_log`."""
    return kinds_of_items(fold.item_ids, kinds)


# --- who takes what ---------------------------------------------------------------------------------------------------


class _Taken(NamedTuple):
    items: LongArray  # [U, length] oldest first
    new: BoolArray  # [U, length] which of them are new


def _taken(log: ContentLog) -> _Taken:
    """Draws without replacement by each user's liking, among the known and the new items by themselves, then mixed."""
    generator = np.random.default_rng([log.seed, STREAM["taken"]])
    kind = kinds_of_items(range(log.items), log.kinds)
    share = _likings(log, generator)[:, kind] / np.bincount(kind, minlength=log.kinds)[kind]
    # The largest of log p + Gumbel noise are a draw without replacement.
    keys = np.log((1 - log.noise) * share + max(log.noise, 1e-9) / log.items) + generator.gumbel(size=share.shape)
    new, rows = log.new_items, np.arange(log.users)[:, None]
    known_items = np.argsort(np.where(new, np.inf, -keys), axis=1)[:, : log.length - log.new_length]
    new_items = np.argsort(np.where(new, -keys, np.inf), axis=1)[:, : log.new_length]
    items = np.concatenate([known_items, new_items], axis=1)[rows, generator.random((log.users, log.length)).argsort(1)]
    return _Taken(items, new[items])


def _likings(log: ContentLog, generator: np.random.Generator) -> DoubleArray:
    """Share of each kind in what a user likes, [U, kinds]: of every other user one kind, else two."""
    users = np.arange(log.users)
    first = generator.permutation(users) % log.kinds
    second = (first + generator.integers(1, log.kinds, log.users)) % log.kinds
    likings = np.zeros((log.users, log.kinds))
    likings[users, first] = np.where(generator.permutation(users) % 2, 1.0, FAVOURITE)
    likings[users, second] += 1 - likings[users, first]
    return likings


# --- what items look like ---------------------------------------------------------------------------------------------


def _text(kind: int, generator: np.random.Generator) -> str:
    """15 to 40 English words: eight topical ones, of which one in ten is of another kind, among plain ones."""
    pools = [generator.permutation(each.split()).tolist() for each in WORDS]
    others = [number for number in range(len(WORDS)) if number != kind]
    topics = [kind if generator.random() < OWN else int(generator.choice(others)) for _ in range(SLOTS)]
    text = ". ".join(str(generator.choice(each)) for each in (OPENINGS, MIDDLES, ENDINGS)) + "."
    for topic in topics:
        text = text.replace("{word}", pools[topic].pop(), 1)
    for plain in generator.permutation(PLAIN.split()):
        text = text.replace("{plain}", str(plain), 1)
    return re.sub(r"\b([Aa]) (?=[aeiou])", r"\1n ", text)


def _columns(folder: Path, log: ContentLog) -> tuple[Column, ...]:
    """The columns of the items; pictures and sounds are written into `folder`. Each medium is drawn by itself."""
    columns = []
    kind = kinds_of_items(range(log.items), log.kinds)
    for medium in log.media:
        values = np.empty(log.items, object)
        if medium in FOLDERS:
            (folder / FOLDERS[medium][0]).mkdir(parents=True, exist_ok=True)
        for item in range(log.items):
            generator = np.random.default_rng([log.seed, STREAM[medium], item])
            confused, other = generator.random() < log.confusion, int(generator.integers(log.kinds))
            shown = other if confused else int(kind[item])
            if medium == "text":
                values[item] = _text(shown, generator)
                continue
            path = _path(folder.resolve(), medium, item)
            path.write_bytes((kind_picture if medium == "picture" else kind_sound)(shown, generator))
            values[item] = str(path)
        columns.append(Column(medium, ROLES[medium], values))
    return tuple(columns)


def _path(folder: Path, medium: str, item: int) -> Path:
    name, ending = FOLDERS[medium]
    return folder / name / f"i{item}.{ending}"


# --- logs -------------------------------------------------------------------------------------------------------------


def content_fold(folder: Path, log: ContentLog = USUAL) -> Fold:
    """An item-cold fold: users train on known items, and are judged on the new ones, which only their columns tell of.

    Judge it with `judge(…, scenario="cold_item")`. Item columns are `log.media`; `folder` gets images/ and audio/.
    Equal settings give equal bytes.

    Known answers, NDCG@10 at the usual settings: knowing the kinds (`Oracle`) gives 0.55 (20 seeds: 0.541 to 0.567),
    knowing also what each user likes 0.004 more; a random order gives 0.089 (`chance`). Popularity and whatever else
    knows items by their numbers only stay at that.
    """
    taken = _taken(log)
    train = [items[~new] for items, new in zip(*taken, strict=True)]
    targets = [items[new] for items, new in zip(*taken, strict=True)]
    return fold_of(histories_of(train), targets, items=log.items, columns=_columns(folder, log))


def write_content_log(folder: Path, log: ContentLog = USUAL) -> Path:
    """Write the log of `content_fold` into `folder` and return it: interactions.csv, items.csv, images/, audio/.

    Interactions with known and new items stand in one file; the splitter `cold_item` draws new items of its own. The
    identifiers are those of the fold, so `kinds_of` knows the kinds.
    """
    folder.mkdir(parents=True, exist_ok=True)
    columns = _columns(folder, log)
    values = [
        [_path(folder, column.name, item).relative_to(folder).as_posix() for item in range(log.items)]
        if column.name in FOLDERS
        else column.values.tolist()
        for column in columns
    ]
    ids = [f"i{item}" for item in range(log.items)]
    _write(folder / "items.csv", ["item_id", *log.media], zip(ids, *values, strict=True))
    moments = np.random.default_rng([log.seed, STREAM["moments"]]).integers(0, DAY, (log.users, log.length))
    moments += FIRST_MOMENT + DAY * np.arange(log.length)
    user, place = np.divmod(moments.argsort(axis=None, kind="stable"), log.length)
    items = _taken(log).items
    rows = ((f"u{u}", f"i{items[u, n]}", int(moments[u, n])) for u, n in zip(user, place, strict=True))
    _write(folder / "interactions.csv", ["user_id", "item_id", "timestamp"], rows)
    return folder


def _write(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as target:
        writer = csv.writer(target, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


# --- known answers ----------------------------------------------------------------------------------------------------


@dataclass(eq=False)
class Oracle:
    """Knows the kind of every item: its score is the share of that kind in the history of the request."""

    kinds: npt.NDArray[np.integer[Any]]  # [I], as `kinds_of` says

    def scores(self, requests: Requests) -> FloatArray:
        """Shares, [B, I]; 0 for an empty history."""
        of_kind = np.eye(int(self.kinds.max()) + 1, dtype=np.float32)[self.kinds]  # [I, kinds]
        taken = requests.histories.matrix(len(self.kinds)) @ of_kind  # [B, kinds]
        shares: FloatArray = (taken / np.maximum(taken.sum(axis=1, keepdims=True), 1)) @ of_kind.T
        return shares

    def state(self) -> State:
        """The kinds."""
        return State({}, {"kinds": self.kinds})

    def load(self, state: State) -> None:
        """Take the kinds."""
        self.kinds = state.arrays["kinds"]


def chance(fold: Fold, k: int = 10) -> float:
    """NDCG@k that a random order of the new items has on average: with m of C items to find, each hits with m / C."""
    new = int((fold.train.counts == 0).sum())
    targets = np.diff(fold.holdout.target_indptr)
    discount = 1 / np.log2(np.arange(min(k, new)) + 2)
    ideal = np.concatenate([[0.0], np.cumsum(discount)])[np.minimum(targets, len(discount))]
    return float(np.mean(targets / new * discount.sum() / ideal))
