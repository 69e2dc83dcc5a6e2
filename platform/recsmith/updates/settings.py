"""What whoever updates an artifact may decide."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from recsmith.contracts.plan import Part

LAST: Literal["last"] = "last"


class UpdateSettings(Part):
    """How an artifact is updated, and what it must not lose.

    `epochs`, `replay` and `rate` are those of models that go on from their weights; the others are fitted anew on all
    rows, old and new.
    """

    epochs: Annotated[int, Field(ge=1)] = 6
    replay: Annotated[float, Field(ge=0, le=1)] = 0.3  # share of the users without new rows whose histories come again
    rate: Annotated[float, Field(gt=0, le=10)] = 0.3  # factor on the learning rate of the study
    hold_out: Literal["last"] | Annotated[float, Field(gt=0, lt=1)] = LAST  # each user's last new row; or newest share
    forgetting: Annotated[float, Field(ge=0)] = 0.02  # the most that known users' metric may fall
    anyway: bool = False  # write it even when it is worse
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
