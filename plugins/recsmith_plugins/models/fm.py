"""Factorization machine: every pair of fields adds the product of their vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from torch import nn

from recsmith.contracts.config import Choice, Config
from recsmith.contracts.content import ItemContent, UserContent
from recsmith.contracts.domains import Int, Narrowed
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import BuildContext, ModelSpec
from recsmith.contracts.training import Training
from recsmith_plugins.blocks.field_model import NARROWED, FieldModel, Footprint, Half, peak_bytes
from recsmith_plugins.blocks.fields import FieldsConfig, Rows, factorised, item_fields, user_fields

if TYPE_CHECKING:
    from recsmith.contracts.plugins import Sizes


class FMConfig(Config):
    """Settings."""

    dim: Annotated[int, Int(8, 256, log=True)] = 64  # D
    fields: FieldsConfig = FieldsConfig()
    content: ItemContent = ItemContent()
    user_content: UserContent = UserContent()
    training: Annotated[Training, Narrowed(NARROWED)] = Training(
        batch_size=1024, learning_rate=3e-3, weight_decay=0.1, loss=Choice(name="bce", params={"negatives": 4})
    )


class FM(nn.Module):
    """Each field has a vector and a first-order weight, its last number.

    The pairs of fields are those among the user's, those among the item's, and the products across: with the sums s of
    each side's vectors that is s_u . s_i, so ranking a catalogue is one matrix product.

    Differs from the paper: a column's features share one field's vector, linear in them, so products within a column
    are left out; recent items are one such field; it learns by ranking losses too, and by Adam with weight decay
    instead of plain gradients. Memory: see `FieldModel`, V = D + 1.
    """

    def __init__(self, config: FMConfig, context: BuildContext) -> None:
        super().__init__()
        self.products, self.cells = config.dim, 0  # there is no deep part
        self.users = user_fields(config.fields, context, config.dim + 1)
        self.items = item_fields(config.fields, context, config.dim + 1)

    def user(self, rows: Rows) -> Half:
        """Sums, and what the users' fields say by themselves."""
        total, own = factorised(self.users(rows))
        return Half.of(total, product=total, bias=own)

    def item(self, rows: Rows) -> Half:
        """The same of items."""
        total, own = factorised(self.items(rows))
        return Half.of(total, product=total, bias=own)


def build(config: FMConfig, context: BuildContext) -> FieldModel:
    """An untrained model."""
    return FieldModel(lambda: FM(config, context), config.fields, context)


def memory(config: FMConfig, sizes: Sizes) -> float:
    """Bytes at most: see `FieldModel`."""
    return peak_bytes(Footprint(config.dim + 1, config.dim + 1), config, sizes)


@hookimpl
def provide_models() -> list[ModelSpec]:
    """The factorization machine."""
    return [
        ModelSpec(
            name="fm",
            api_version=1,
            config=FMConfig,
            offers=frozenset({"ranking", "ratings", "new_users", "new_items"}),
            source="Rendle 2010, Factorization Machines, doi:10.1109/ICDM.2010.127",
            build=build,
            training="gradient",
            examples="pairs",
            cost="minutes",
            memory=memory,
        )
    ]
