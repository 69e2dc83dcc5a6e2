"""Every error that a user can mend, as one tree; the command line exits with 2 for each of them.

RecsmithError
├── DataError        a log, a table or a column that cannot be used
├── PlanError        a plan with a wrong or missing value
├── SpaceError       a search space that names what does not exist, or leaves nothing to search
├── PluginError      a plugin that is missing, broken, of another API version, or offered twice
│   └── LackingError     something that a plugin needs is not installed
├── StudyError       a study folder that cannot be run, resumed or read
├── ArtifactError    an artifact that is incomplete, changed, or of a newer schema
├── UpdateError      an update that would make an artifact worse, or that cannot be judged
└── NotFiniteError   a loss or a score that is NaN or infinite (a trial ends pruned with this reason)

A message says what, where and what to do, in one sentence or two:
`mine.yaml: popularity: no parameter 'half_lief'. Did you mean 'half_life'? Known: count, half_life.`
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


MANY = 30  # names that nobody reads to the end where the nearest is known


class RecsmithError(Exception):
    """Root of everything that the person at the keyboard can mend."""


class DataError(RecsmithError):
    """A log, a table or a column cannot be used as it is."""


class PlanError(RecsmithError):
    """A plan has a wrong, missing or unknown value."""


class SpaceError(RecsmithError):
    """A search space names what does not exist, or leaves nothing to search."""


class PluginError(RecsmithError):
    """A plugin is missing, broken, of another API version, or offered twice."""


class LackingError(PluginError):
    """Something that a plugin needs is not installed; the message says how to install it.

    A plugin may raise it when it is imported or asked for its specs: it is then set aside, and is no fault.
    """


class StudyError(RecsmithError):
    """A study folder cannot be run, resumed or read."""


class ArtifactError(RecsmithError):
    """An artifact is incomplete, changed, or newer than this version can read."""


class UpdateError(RecsmithError):
    """An updated artifact is worse than the one it comes from, or cannot be judged."""


class NotFiniteError(RecsmithError):
    """A loss or a score became NaN or infinite."""


def unknown(what: str, name: str, known: Iterable[str]) -> str:
    """Say that `name` is no known `what`, with the nearest known name and the list of all, unless it is a long one."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    if near and len(names) > MANY:
        return f"no {what} {name!r}.{hint}"
    return f"no {what} {name!r}.{hint} Known: {', '.join(names) or 'none'}."
