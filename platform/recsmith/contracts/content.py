"""The settings by which a model asks for encoded columns."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from recsmith.contracts.config import Choice, Config
from recsmith.contracts.domains import OneOf, PerColumn


class ItemContent(Config):
    """Which encoder reads which item column, and how the columns are joined. A model holds it as `content`.

    A column that `encoders` does not name is not used. The platform fits the encoders on the items of the training
    rows and gives the model the fused matrix as `context.item_features`.
    """

    encoders: Annotated[dict[str, Choice], PerColumn("items", OneOf("encoders", optional=True))] = Field(
        default_factory=dict
    )
    fuser: Annotated[Choice, OneOf("fusers")] = Choice(name="concatenate")
