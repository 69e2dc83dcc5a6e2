"""Which column is what: the plan's word, else the common spellings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from recsmith.contracts.errors import DataError, unknown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from recsmith.contracts.plan import Columns

SPELLINGS: dict[str, tuple[str, ...]] = {  # compared without case and punctuation; the first that is there wins
    "user": (
        *("userid", "user", "uid", "reviewerid", "customerid", "customer", "visitorid", "memberid", "accountid"),
        *("username", "sessionid", "session"),
    ),
    "item": (
        *("itemid", "item", "iid", "movieid", "movie", "productid", "product", "asin", "parentasin", "bookid", "book"),
        *("isbn", "songid", "song", "trackid", "track", "artistid", "artist", "businessid", "venueid", "articleid"),
        *("article", "newsid", "gameid", "videoid", "sku"),
    ),
    "timestamp": (
        *("timestamp", "time", "ts", "datetime", "date", "unixreviewtime", "reviewtime", "createdat", "eventtime"),
    ),
    "value": ("rating", "ratings", "value", "score", "stars", "overall", "count", "plays", "playcount"),
    "event": ("event", "eventtype", "action", "behavior", "behaviour", "interactiontype"),
    "domain": ("domain",),
}
IGNORED = "none"  # what the plan says to leave an optional column aside
SET_APART = "split"  # a column of labels that some logs carry; only a splitter that needs it uses it
LISTED = 20  # names of columns in a sentence


@dataclass(frozen=True)
class Assigned:
    """The names of the columns in use, and what was guessed."""

    user: str
    item: str
    timestamp: str | None
    value: str | None
    event: str | None
    domain: str | None  # of the log; one of the item table stands in the plan alone
    notes: tuple[str, ...]
    origin: str

    @property
    def named(self) -> dict[str, str]:
        """Role -> column, for those that are there."""
        roles = {role: getattr(self, role) for role in SPELLINGS}
        return {role: name for role, name in roles.items() if name is not None}


def plain(name: str) -> str:
    """A column's name without case and punctuation."""
    return "".join(letter for letter in name.lower() if letter.isalnum())


def matching(role: str, columns: Sequence[str]) -> list[str]:
    """The columns spelt like `role`, the likeliest first."""
    spellings = SPELLINGS[role]
    fitting = [name for name in columns if plain(name) in spellings]
    return sorted(fitting, key=lambda name: spellings.index(plain(name)))


def assign(columns: Sequence[str], plan: Columns, origin: str) -> Assigned:
    """Decide which column of the interactions is what.

    Raises:
        DataError: a column that the plan names is not there, or no user or item column is found.
    """
    taken: dict[str, str | None] = {}
    notes = []
    for role in SPELLINGS:
        stated: str | None = getattr(plan, role)
        if role == "domain" and stated not in (None, *columns):
            taken[role] = None  # it may be a column of the item table
            continue
        if stated is not None:
            taken[role] = _stated(role, stated, columns, origin)
            continue
        found = matching(role, [name for name in columns if name not in _named(plan)])
        taken[role] = found[0] if found else None
        if found:
            others = f" ({', '.join(map(repr, found[1:]))} would fit too)" if found[1:] else ""
            notes.append(f"{role} = {found[0]!r}, guessed from its name{others}.")
    user, item = (_required(role, taken[role], columns, origin) for role in ("user", "item"))
    if user == item:
        raise DataError(f"{origin}: the column {user!r} cannot be both user and item.")
    if SET_APART in columns and SET_APART not in plan.context:
        notes.append(f"the column {SET_APART!r} is not used, unless the plan says `split: published`.")
    return Assigned(
        user, item, taken["timestamp"], taken["value"], taken["event"], taken["domain"], tuple(notes), origin
    )


def _named(plan: Columns) -> set[str | None]:
    return {getattr(plan, role) for role in SPELLINGS} | set(plan.context)


def _stated(role: str, name: str, columns: Sequence[str], origin: str) -> str | None:
    if name.lower() == IGNORED and role not in {"user", "item"}:
        return None
    if name not in columns:
        raise DataError(f"{origin}: {unknown(f'{role} column', name, columns)}")
    return name


def _required(role: str, name: str | None, columns: Sequence[str], origin: str) -> str:
    if name is None:
        raise DataError(
            f"{origin}: no {role} column among {_listed(columns)}. Say which it is: `data.columns.{role}` in the plan."
        )
    return name


def key_column(columns: Sequence[str], role: str, log_name: str, origin: str) -> str:
    """The id column of an item or user table: named as in the log, else spelt like the role, else `id`.

    Raises:
        DataError: there is none.
    """
    for name in (log_name, *matching(role, columns), "id"):
        if name in columns:
            return name
    raise DataError(f"{origin}: no {role} id column among {_listed(columns)}. Name it {log_name!r}.")


def _listed(columns: Sequence[str]) -> str:
    """The columns' names, the first of them where there are many."""
    more = f" and {len(columns) - LISTED:,} more" if len(columns) > LISTED else ""
    return ", ".join(map(repr, columns[:LISTED])) + more
