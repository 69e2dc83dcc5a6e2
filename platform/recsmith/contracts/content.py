"""Encoded columns: the settings by which a model asks for them, and what it gets."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import Field

from recsmith.contracts.config import Choice, Config
from recsmith.contracts.domains import Categorical, OneOf, PerColumn

if TYPE_CHECKING:
    from collections.abc import Mapping

    from recsmith.contracts.data import FeatureMatrix
    from recsmith.contracts.plugins import Encoder

Table = Literal["items", "users"]
WHITEN = Categorical((0, 32, 64, 128, 256))


class ItemContent(Config):
    """Which encoder reads which item column, and how the columns are joined. A model's settings hold one.

    A column that `encoders` does not name is not used. The platform fits the encoders on the items of the training
    rows and hands them over as `context.item_content`. A column "log.review" holds the features of the texts in the
    column "review" of the log, averaged over each item's training rows.

    With `whiten` dense features keep at most so many of their strongest directions, at zero mean and unit variance (Su
    et al. 2021, https://arxiv.org/abs/2103.15316); 0 leaves them as they are.
    """

    encoders: Annotated[dict[str, Choice], PerColumn("items", OneOf("encoders", optional=True))] = Field(
        default_factory=dict
    )
    fuser: Annotated[Choice, OneOf("fusers")] = Choice(name="concatenate")
    whiten: Annotated[int, WHITEN] = 0


class UserContent(Config):
    """The same for the columns of users: `context.user_content`."""

    encoders: Annotated[dict[str, Choice], PerColumn("users", OneOf("encoders", optional=True))] = Field(
        default_factory=dict
    )
    fuser: Annotated[Choice, OneOf("fusers")] = Choice(name="concatenate")
    whiten: Annotated[int, WHITEN] = 0


def wanted_content(config: Config) -> dict[Table, ItemContent | UserContent]:
    """The content that a model's settings ask for, by table."""
    found: dict[Table, ItemContent | UserContent] = {}
    for name in type(config).model_fields:
        value = getattr(config, name)
        if isinstance(value, (ItemContent, UserContent)):
            found["items" if isinstance(value, ItemContent) else "users"] = value
    return found


@dataclass(frozen=True, eq=False)
class Content:
    """The encoded columns of R items or users. A row of zeros is a value that is missing, or says nothing.

    `encoders` has those that learn with the model (`contracts.plugins.TrainedEncoder`), fitted.
    """

    rows: int  # R
    features: Mapping[str, FeatureMatrix]  # by column, [R, F_c]
    fuser: Any  # Fuser, TrainedFuser, or both
    encoders: Mapping[str, Encoder] = field(default_factory=dict)  # by column

    @cached_property
    def fused(self) -> FeatureMatrix:
        """One matrix for models that are fitted in one go, [R, F]; [R, 0] where there is no column."""
        fused: FeatureMatrix = np.zeros((self.rows, 0), np.float32)
        return self.fuser.fuse(self.features) if self.features else fused
