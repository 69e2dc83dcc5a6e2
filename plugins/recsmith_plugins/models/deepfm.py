"""DeepFM: a factorization machine and a perceptron over the same vectors of fields."""

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
    factorised,
    item_fields,
    user_fields,
    weights_of,
)

if TYPE_CHECKING:
    from torch import Tensor

    from recsmith.contracts.plugins import Sizes


class DeepFMConfig(Config):
    """Settings."""

    dim: Annotated[int, Int(8, 256, log=True)] = 64  # D
    deep: DeepConfig = DeepConfig()
    fields: FieldsConfig = FieldsConfig()
    content: ItemContent = ItemContent()
    user_content: UserContent = UserContent()
    training: Annotated[Training, Narrowed(NARROWED)] = Training(
        batch_size=1024, learning_rate=3e-3, weight_decay=0.1, loss=Choice(name="bce", params={"negatives": 4})
    )


class DeepFM(nn.Module):
    """The logit is that of the factorization machine plus that of the perceptron (Guo et al., equation 1).

    Differs from the paper: recent items are a field, columns of any encoder are one each, the perceptron's first layer
    is computed of users and items apart, and it learns by ranking losses too. Memory: see `FieldModel`, V = D + 1.
    """

    def __init__(self, config: DeepFMConfig, context: BuildContext) -> None:
        super().__init__()
        D = config.dim
        self.products = D
        self.users = user_fields(config.fields, context, D + 1)
        self.items = item_fields(config.fields, context, D + 1)
        self.perceptron = Perceptron(config.deep, self.users.count * D, self.items.count * D)
        self.cells = self.perceptron.cells

    def user(self, rows: Rows) -> Half:
        """Sums, first layer, and what the users' fields say by themselves."""
        vectors = self.users(rows)
        total, own = factorised(vectors)
        return Half.of(total, product=total, deep=self.perceptron.user(vectors[..., :-1].flatten(1)), bias=own)

    def item(self, rows: Rows) -> Half:
        """The same of items."""
        vectors = self.items(rows)
        total, own = factorised(vectors)
        return Half.of(total, product=total, deep=self.perceptron.item(vectors[..., :-1].flatten(1)), bias=own)

    def deep(self, users: Tensor, items: Tensor) -> Tensor:
        """The rest of the perceptron."""
        logits: Tensor = self.perceptron(users, items)
        return logits


def build(config: DeepFMConfig, context: BuildContext) -> FieldModel:
    """An untrained model."""
    return FieldModel(lambda: DeepFM(config, context), config.fields, context)


def memory(config: DeepFMConfig, sizes: Sizes) -> float:
    """Bytes at most: see `FieldModel`."""
    weights = weights_of(config.deep, 8 * config.dim)
    return peak_bytes(
        Footprint(config.dim + 1, config.dim + config.deep.width + 1, weights, cells_of(config.deep)), config, sizes
    )


@hookimpl
def provide_models() -> list[ModelSpec]:
    """DeepFM."""
    return [
        ModelSpec(
            name="deepfm",
            api_version=1,
            config=DeepFMConfig,
            offers=frozenset({"ranking", "ratings", "new_users", "new_items"}),
            source=(
                "Guo, Tang, Ye, Li and He 2017, DeepFM: A Factorization-Machine based Neural Network for CTR "
                "Prediction, https://arxiv.org/abs/1703.04247"
            ),
            build=build,
            training="gradient",
            examples="pairs",
            cost="minutes",
            memory=memory,
        )
    ]
