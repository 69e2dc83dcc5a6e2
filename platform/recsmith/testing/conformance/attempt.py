"""Doing what may fail, and saying what was done when it did."""

from __future__ import annotations

import traceback
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from recsmith.testing.conformance.subject import NotApplicableError, Violation

if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST = 300  # letters of a plugin's own message that are repeated


@contextmanager
def attempt(what: str) -> Iterator[None]:
    """Whatever a plugin raises within becomes a broken promise that tells `what` was being done, and where it broke.

    Raises:
        Violation: something was raised.
    """
    try:
        yield
    except (Violation, NotApplicableError):
        raise
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(place.filename).name}:{place.lineno}"
        raise Violation(f"{what}: it raised {type(error).__name__}: {str(error)[:LONGEST]} ({where})") from error
