"""NeuMF: generalised matrix factorisation and a perceptron, each with vectors of its own, in one logit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import torch
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


class NeuMFConfig(Config):
    """Settings."""

    dim: Annotated[int, Int(8, 256, log=True)] = 64  # of the factorised vectors
    deep_dim: Annotated[int, Int(8, 128, log=True)] = 32  # of the perceptron's vectors
    deep: DeepConfig = DeepConfig()
    fields: FieldsConfig = FieldsConfig()
    content: ItemContent = ItemContent()
    user_content: UserContent = UserContent()
    training: Annotated[Training, Narrowed(NARROWED)] = Training(
        batch_size=1024, learning_rate=3e-3, weight_decay=0.1, loss=Choice(name="bce", params={"negatives": 4})
    )


class NeuMF(nn.Module):
    """The logit is h . (p * q) plus the perceptron's, and that of the overall bias (He et al., equation 12).

    With `fields.history` "none", `fields.id_dropout` 0 and no columns users and items have their identity alone, as in
    the paper. Differs from it: else p and q are sums over all fields of a side; h begins at ones; the two parts learn
    together from the start, not each beforehand; the layers are of one width; its first layer is computed of users and
    items apart. Memory: see `FieldModel`, V = dim + deep_dim.
    """

    def __init__(self, config: NeuMFConfig, context: BuildContext) -> None:
        super().__init__()
        D = config.deep_dim
        self.products = config.dim
        self.users = user_fields(config.fields, context, config.dim)
        self.items = item_fields(config.fields, context, config.dim)
        self.deep_users = user_fields(config.fields, context, D)
        self.deep_items = item_fields(config.fields, context, D)
        self.mix = nn.Parameter(torch.ones(config.dim))  # h
        self.perceptron = Perceptron(config.deep, self.deep_users.count * D, self.deep_items.count * D)
        self.cells = self.perceptron.cells

    def user(self, rows: Rows) -> Half:
        """The weighted vectors h * p, and the users' first layer."""
        p = self.users(rows).sum(1)
        return Half.of(p, product=self.mix * p, deep=self.perceptron.user(self.deep_users(rows).flatten(1)))

    def item(self, rows: Rows) -> Half:
        """The vectors q, and the items' first layer."""
        q = self.items(rows).sum(1)
        return Half.of(q, product=q, deep=self.perceptron.item(self.deep_items(rows).flatten(1)))

    def deep(self, users: Tensor, items: Tensor) -> Tensor:
        """The rest of the perceptron."""
        logits: Tensor = self.perceptron(users, items)
        return logits


def build(config: NeuMFConfig, context: BuildContext) -> FieldModel:
    """An untrained model."""
    return FieldModel(lambda: NeuMF(config, context), config.fields, context)


def memory(config: NeuMFConfig, sizes: Sizes) -> float:
    """Bytes at most: see `FieldModel`."""
    weights = weights_of(config.deep, 8 * config.deep_dim)
    return peak_bytes(
        Footprint(config.dim + config.deep_dim, config.dim + config.deep.width + 1, weights, cells_of(config.deep)),
        config,
        sizes,
    )


@hookimpl
def provide_models() -> list[ModelSpec]:
    """NeuMF."""
    return [
        ModelSpec(
            name="neumf",
            api_version=1,
            config=NeuMFConfig,
            offers=frozenset({"ranking", "ratings", "new_users", "new_items"}),
            source=(
                "He, Liao, Zhang, Nie, Hu and Chua 2017, Neural Collaborative Filtering, "
                "https://arxiv.org/abs/1708.05031"
            ),
            build=build,
            training="gradient",
            examples="pairs",
            cost="minutes",
            memory=memory,
        )
    ]
