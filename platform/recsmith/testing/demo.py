"""A small made-up shop as files: interactions, items with text, pictures and sounds, and users."""

from __future__ import annotations

import csv
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from recsmith.testing.media import group_picture, group_sound

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy.typing as npt

FIRST_MOMENT = 1_700_000_000  # Unix seconds
EVENTS = ("view", "click", "purchase")
NATIVE = 0.7  # chance that a user is from the country of their group
COUNTRIES = ("AT", "BR", "CA", "DE", "IN", "JP")
WORDS = (
    ("harbour", "anchor", "tide", "sail", "lighthouse", "gull"),
    ("copper", "kettle", "oven", "spice", "ladle", "broth"),
    ("violin", "chorus", "tempo", "ballad", "organ", "waltz"),
    ("granite", "summit", "glacier", "rope", "ridge", "cairn"),
    ("orchid", "trellis", "compost", "seedling", "fern", "hedge"),
    ("engine", "piston", "clutch", "chassis", "garage", "gasket"),
)
PLAIN_WORDS = ("new", "small", "classic", "bright", "quiet", "daily", "second", "simple")


@dataclass(frozen=True)
class Shop:
    """What drives a demo log: G groups; item i is of group i % G, and in it at place i // G."""

    users: int
    items: int
    length: int  # mean interactions per user
    groups: int = len(WORDS)
    follow: float = 0.6  # chance that the next item is the next place in the same group
    loyalty: float = 0.8  # chance that a fresh start is in the user's own group


def demo_log(folder: Path, seed: int = 0, users: int = 400, items: int = 240, length: int = 16) -> Path:
    """Write a demo log into `folder` and return it: interactions.csv, items.csv, users.csv, images/, audio/.

    Known structure: an interaction is, with chance .6, the next place in the chain of the last item's group; else a
    fresh start, with chance .8 in the user's own group, at a place that follows popularity. No user has an item
    twice. So a sequence model beats item-kNN, which beats popularity, and kNN on the text beats popularity. Text,
    category, picture (hue), sound (pitch) and price tell an item's group. Equal arguments give equal bytes; folder and
    files are made or overwritten.

    Args:
        folder: where to write.
        seed: of every random draw.
        users: how many.
        items: how many, at least 12.
        length: mean interactions per user.
    """
    shop = Shop(users, items, length)
    generator = np.random.default_rng(seed)
    for name in ("images", "audio"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    item_offset = generator.normal(0, 0.5, items)
    _write(
        folder / "interactions.csv",
        "user_id,item_id,timestamp,rating,event",
        _interactions(shop, item_offset, generator),
    )
    header = "item_id,title,category,price,description,image,audio"
    _write(folder / "items.csv", header, [_item(shop, item, folder, generator) for item in range(items)])
    _write(folder / "users.csv", "user_id,age,country", [_user(user, generator) for user in range(users)])
    return folder


def _write(path: Path, header: str, rows: Iterable[Sequence[Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as target:
        writer = csv.writer(target, lineterminator="\n")
        writer.writerow(header.split(","))
        writer.writerows(rows)


def _interactions(
    shop: Shop, item_offset: npt.NDArray[np.float64], generator: np.random.Generator
) -> list[tuple[str, str, int, float, str]]:
    """All rows, sorted by moment; moments are distinct within a user."""
    rows = []
    for user in range(shop.users):
        own, offset = user % shop.groups, generator.normal(0, 0.4)
        moment = FIRST_MOMENT + int(generator.integers(180 * 86_400))
        for item in _walk(shop, own, generator):
            moment += int(generator.integers(60, 3 * 86_400))
            liking = 3.0 + offset + item_offset[item] + (0.8 if item % shop.groups == own else -0.4)
            rating = float(np.clip(np.round(2 * (liking + generator.normal(0, 0.4))) / 2, 0.5, 5.0))
            event = EVENTS[int(np.searchsorted([0.6, 0.9], generator.random()))]
            rows.append((moment, f"u{user:04d}", f"i{item:04d}", rating, event))
    return [(user, item, moment, rating, event) for moment, user, item, rating, event in sorted(rows)]


def _walk(shop: Shop, own: int, generator: np.random.Generator) -> list[int]:
    """The items of one user in order, each once."""
    walk = [_fresh(shop, own, frozenset(), generator)]
    size = int(generator.integers(shop.length // 2, 3 * shop.length // 2))
    while len(walk) <= min(size, shop.items - shop.groups):
        after = walk[-1] + shop.groups
        follows = generator.random() < shop.follow and after < shop.items and after not in walk
        walk.append(after if follows else _fresh(shop, own, frozenset(walk), generator))
    return walk


def _fresh(shop: Shop, own: int, taken: frozenset[int], generator: np.random.Generator) -> int:
    """A place in the own group or in another one that is not taken yet; early places are more popular."""
    while True:
        group = own if generator.random() < shop.loyalty else int(generator.integers(shop.groups))
        places = len(range(group, shop.items, shop.groups))
        item = group + shop.groups * int(places * generator.random() ** 1.5)
        if item not in taken:
            return item


def _item(shop: Shop, item: int, folder: Path, generator: np.random.Generator) -> tuple[str, ...]:
    group = item % shop.groups
    name, words = f"i{item:04d}", generator.permutation(WORDS[group])
    plain = generator.permutation(PLAIN_WORDS)
    (folder / "images" / f"{name}.png").write_bytes(group_picture(group, shop.groups, generator))
    (folder / "audio" / f"{name}.wav").write_bytes(group_sound(group, generator))
    title = f"{plain[0]} {words[0]} {words[1]}".capitalize()
    description = f"A {plain[1]} {words[2]} with {words[3]} and {words[0]}, {plain[2]} {item}."
    price = f"{10 * 1.6**group * (1 + 0.3 * generator.random()):.2f}"
    return name, title, WORDS[group][0], price, description, f"images/{name}.png", f"audio/{name}.wav"


def _user(user: int, generator: np.random.Generator) -> tuple[str, ...]:
    place = user if generator.random() < NATIVE else int(generator.integers(len(COUNTRIES)))
    return f"u{user:04d}", str(int(generator.integers(18, 80))), COUNTRIES[place % len(COUNTRIES)]


if __name__ == "__main__":
    sys.stdout.write(f"{demo_log(Path(sys.argv[1]))}\n")
