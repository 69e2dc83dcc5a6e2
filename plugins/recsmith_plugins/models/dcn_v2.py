"""DCN-v2: layers that cross the fields explicitly, beside or below a perceptron."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import torch
from torch import nn
from torch.nn.functional import linear

from recsmith.contracts.config import Choice, Config
from recsmith.contracts.content import ItemContent, UserContent
from recsmith.contracts.domains import Categorical, Int, Narrowed
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


class DCNv2Config(Config):
    """Settings. `rank` is that of the cross layers' matrices, 0 for full ones."""

    dim: Annotated[int, Int(8, 64, log=True)] = 32  # D
    crosses: Annotated[int, Int(1, 4)] = 2
    rank: Annotated[int, Categorical((0, 8, 16, 32))] = 16
    structure: Annotated[str, Categorical(("parallel", "stacked"))] = "parallel"
    deep: DeepConfig = DeepConfig()
    fields: FieldsConfig = FieldsConfig()
    content: ItemContent = ItemContent()
    user_content: UserContent = UserContent()
    training: Annotated[Training, Narrowed(NARROWED)] = Training(
        batch_size=1024, learning_rate=3e-3, weight_decay=0.1, loss=Choice(name="bce", params={"negatives": 4})
    )


class Cross(nn.Module):
    """x' = x0 * (W x + b) + x; with a rank W is a product of two thin matrices (Wang et al., equations 1 and 2).

    The inner product is that with W, or with the second of the thin matrices.
    """

    def __init__(self, width: int, rank: int) -> None:
        super().__init__()
        self.inner = nn.Linear(width, rank or width, bias=not rank)
        self.outer = nn.Linear(rank, width) if rank else nn.Identity()

    def forward(self, first: Tensor, x: Tensor, inner: Tensor | None = None) -> Tensor:
        """x0 and x [..., M] -> [..., M]; `inner` is the inner product with x, where it is known already."""
        crossed: Tensor = first * self.outer(self.inner(x) if inner is None else inner) + x
        return crossed

    def of_users(self, fields: Tensor) -> Tensor:
        """What users' fields [n, U'], the first of x0, give to its inner product; that of items adds the rest."""
        return linear(fields, self.inner.weight[:, : fields.shape[1]], self.inner.bias)

    def of_items(self, fields: Tensor) -> Tensor:
        """The same of items' fields [n, I'], the last of x0."""
        return linear(fields, self.inner.weight[:, -fields.shape[1] :])


class DCNv2(nn.Module):
    """Cross layers and a perceptron over all fields side by side, x0 [M].

    Differs from the paper: recent items are a field, columns of any encoder are one each; a low-rank layer has one pair
    of matrices, no mixture of experts; it learns by ranking losses too. Only the first layers' inner products
    decompose, so pairs are dear: M numbers a layer. Memory: see `FieldModel`, V = D.
    """

    def __init__(self, config: DCNv2Config, context: BuildContext) -> None:
        super().__init__()
        D = config.dim
        self.users = user_fields(config.fields, context, D)
        self.items = item_fields(config.fields, context, D)
        self.split = self.users.count * D
        self.width = self.split + self.items.count * D  # M
        self.cross = Cross(self.width, config.rank)  # the first one, whose inner product decomposes
        self.crosses = nn.ModuleList([Cross(self.width, config.rank) for _ in range(config.crosses - 1)])
        self.out = nn.Linear(self.width, 1, bias=False) if config.structure == "parallel" else None
        self.perceptron = Perceptron(config.deep, self.split, self.width - self.split)
        self.products = 0
        self.cells = _cells(config, self.width)

    def user(self, rows: Rows) -> Half:
        """The users' fields."""
        fields = self.users(rows).flatten(1)
        return Half.of(
            fields, deep=torch.cat([fields, self.cross.of_users(fields), self.perceptron.user(fields)], dim=1)
        )

    def item(self, rows: Rows) -> Half:
        """The items' fields."""
        fields = self.items(rows).flatten(1)
        return Half.of(
            fields, deep=torch.cat([fields, self.cross.of_items(fields), self.perceptron.item(fields)], dim=1)
        )

    def deep(self, users: Tensor, items: Tensor) -> Tensor:
        """The logits of pairs."""
        sizes = [self.cross.inner.out_features, self.perceptron.user.out_features]
        user, *from_user = torch.split(users, [self.split, *sizes], dim=-1)
        item, *from_item = torch.split(items, [self.width - self.split, *sizes], dim=-1)
        inner = from_user[0] + from_item[0]
        shape = inner.shape[:-1]
        first = torch.cat([user.expand(*shape, -1), item.expand(*shape, -1)], dim=-1)
        x = self.cross(first, first, inner)
        for cross in self.crosses:
            x = cross(first, x)
        if self.out is not None:
            crossed: Tensor = self.out(x).squeeze(-1)
            beside: Tensor = self.perceptron(from_user[1], from_item[1])
            return crossed + beside
        above: Tensor = self.perceptron(
            self.perceptron.user(x[..., : self.split]), self.perceptron.item(x[..., self.split :])
        )
        return above


def _cells(config: DCNv2Config, width: int) -> int:
    return cells_of(config.deep) + width * (1 + 2 * config.crosses)


def build(config: DCNv2Config, context: BuildContext) -> FieldModel:
    """An untrained model."""
    return FieldModel(lambda: DCNv2(config, context), config.fields, context)


def memory(config: DCNv2Config, sizes: Sizes) -> float:
    """Bytes at most: see `FieldModel`."""
    width = 8 * config.dim
    weights = weights_of(config.deep, width) + config.crosses * width * (2 * config.rank or width)
    queries = width // 2 + (config.rank or width) + config.deep.width
    return peak_bytes(Footprint(config.dim, queries, weights, _cells(config, width)), config, sizes)


@hookimpl
def provide_models() -> list[ModelSpec]:
    """DCN-v2."""
    return [
        ModelSpec(
            name="dcn_v2",
            api_version=1,
            config=DCNv2Config,
            offers=frozenset({"ranking", "ratings", "new_users", "new_items"}),
            source=(
                "Wang, Shivanna, Cheng, Jain, Lin, Hong and Chi 2021, DCN V2: Improved Deep & Cross Network, "
                "https://arxiv.org/abs/2008.13535"
            ),
            build=build,
            training="gradient",
            examples="pairs",
            cost="minutes",
            memory=memory,
        )
    ]
