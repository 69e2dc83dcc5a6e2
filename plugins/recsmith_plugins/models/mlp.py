"""An MLP ranker: a perceptron over the vectors of all fields of a user and an item."""

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
from recsmith_plugins.blocks.fields import (
    DeepConfig,
    FieldsConfig,
    Perceptron,
    Rows,
    cells_of,
    item_fields,
    user_fields,
    weights_of,
)

if TYPE_CHECKING:
    from torch import Tensor

    from recsmith.contracts.plugins import Sizes


class MLPConfig(Config):
    """Settings."""

    dim: Annotated[int, Int(8, 128, log=True)] = 32  # D
    deep: DeepConfig = DeepConfig()
    fields: FieldsConfig = FieldsConfig()
    content: ItemContent = ItemContent()
    user_content: UserContent = UserContent()
    training: Annotated[Training, Narrowed(NARROWED)] = Training(
        batch_size=1024, learning_rate=3e-3, weight_decay=0.1, loss=Choice(name="bce", params={"negatives": 4})
    )


class MLP(nn.Module):
    """The logit is that of a perceptron over the fields side by side: nothing but layers tells who goes with what.

    Differs from the paper's network: recent items are summed up by vectors of their own, it ranks the whole catalogue
    and not a few candidates, and its first layer is computed of users and items apart. Memory: see `FieldModel`, V = D.
    """

    def __init__(self, config: MLPConfig, context: BuildContext) -> None:
        super().__init__()
        D = config.dim
        self.users = user_fields(config.fields, context, D)
        self.items = item_fields(config.fields, context, D)
        self.perceptron = Perceptron(config.deep, self.users.count * D, self.items.count * D)
        self.products = 0
        self.cells = self.perceptron.cells

    def user(self, rows: Rows) -> Half:
        """The users' first layer."""
        vectors = self.users(rows)
        return Half.of(vectors, deep=self.perceptron.user(vectors.flatten(1)))

    def item(self, rows: Rows) -> Half:
        """The items' first layer."""
        vectors = self.items(rows)
        return Half.of(vectors, deep=self.perceptron.item(vectors.flatten(1)))

    def deep(self, users: Tensor, items: Tensor) -> Tensor:
        """The rest of the perceptron."""
        logits: Tensor = self.perceptron(users, items)
        return logits


def build(config: MLPConfig, context: BuildContext) -> FieldModel:
    """An untrained model."""
    return FieldModel(lambda: MLP(config, context), config.fields, context)


def memory(config: MLPConfig, sizes: Sizes) -> float:
    """Bytes at most: see `FieldModel`."""
    weights = weights_of(config.deep, 8 * config.dim)
    return peak_bytes(Footprint(config.dim, config.deep.width + 1, weights, cells_of(config.deep)), config, sizes)


@hookimpl
def provide_models() -> list[ModelSpec]:
    """The MLP ranker."""
    return [
        ModelSpec(
            name="mlp",
            api_version=1,
            config=MLPConfig,
            offers=frozenset({"ranking", "ratings", "new_users", "new_items"}),
            source=(
                "Covington, Adams and Sargin 2016, Deep Neural Networks for YouTube Recommendations, "
                "doi:10.1145/2959100.2959190 (the ranking network)"
            ),
            build=build,
            training="gradient",
            examples="pairs",
            cost="minutes",
            memory=memory,
        )
    ]
