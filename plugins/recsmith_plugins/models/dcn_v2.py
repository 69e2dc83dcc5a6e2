"""DCN-v2: layers that cross the fields explicitly, beside or below a perceptron."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import torch
from torch import nn

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
    rank: Annotated[int, Categorical((0, 8, 16, 32))] = 0
    structure: Annotated[str, Categorical(("parallel", "stacked"))] = "parallel"
    deep: DeepConfig = DeepConfig()
    fields: FieldsConfig = FieldsConfig()
    content: ItemContent = ItemContent()
    user_content: UserContent = UserContent()
    training: Annotated[Training, Narrowed(NARROWED)] = Training(
        batch_size=1024, learning_rate=3e-3, weight_decay=0.1, loss=Choice(name="bce", params={"negatives": 4})
    )


class Cross(nn.Module):
    """x' = x0 * (W x + b) + x; with a rank W is a product of two thin matrices (Wang et al., equations 1 and 2)."""

    def __init__(self, width: int, rank: int) -> None:
        super().__init__()
        thin = [nn.Linear(width, rank, bias=False), nn.Linear(rank, width)] if rank else []
        self.linear = nn.Sequential(*thin) if rank else nn.Linear(width, width)

    def forward(self, first: Tensor, x: Tensor) -> Tensor:
        """x0 and x [..., M] -> [..., M]."""
        crossed: Tensor = first * self.linear(x) + x
        return crossed


class DCNv2(nn.Module):
    """Cross layers and a perceptron over all fields side by side, x0 [M].

    Differs from the paper: recent items are a field, columns of any encoder are one each; a low-rank layer has one pair
    of matrices, no mixture of experts; it learns by ranking losses too. Nothing decomposes but the perceptron's first
    layer, so pairs are dear: M numbers a layer. Memory: see `FieldModel`, V = D.
    """

    def __init__(self, config: DCNv2Config, context: BuildContext) -> None:
        super().__init__()
        D = config.dim
        self.users = user_fields(config.fields, context, D)
        self.items = item_fields(config.fields, context, D)
        self.split = self.users.count * D
        width = self.split + self.items.count * D  # M
        self.stacked = config.structure == "stacked"
        self.crosses = nn.ModuleList([Cross(width, config.rank) for _ in range(config.crosses)])
        self.out = None if self.stacked else nn.Linear(width, 1, bias=False)
        self.perceptron = Perceptron(config.deep, self.split, width - self.split)
        self.products = 0
        self.cells = _cells(config, width)

    def user(self, rows: Rows) -> Half:
        """The users' fields."""
        vectors = self.users(rows)
        return Half.of(vectors, deep=vectors.flatten(1))

    def item(self, rows: Rows) -> Half:
        """The items' fields."""
        vectors = self.items(rows)
        return Half.of(vectors, deep=vectors.flatten(1))

    def deep(self, users: Tensor, items: Tensor) -> Tensor:
        """The logits of pairs."""
        pairs = users[..., :1] + items[..., :1]  # of the shape that both are broadcast to
        first = torch.cat([users.expand(*pairs.shape[:-1], -1), items.expand(*pairs.shape[:-1], -1)], dim=-1)
        x = first
        for cross in self.crosses:
            x = cross(first, x)
        if self.out is not None:
            crossed: Tensor = self.out(x).squeeze(-1)
            return crossed + self._perceptron(users, items)
        return self._perceptron(x[..., : self.split], x[..., self.split :])

    def _perceptron(self, users: Tensor, items: Tensor) -> Tensor:
        logits: Tensor = self.perceptron(self.perceptron.user(users), self.perceptron.item(items))
        return logits


def _cells(config: DCNv2Config, width: int) -> int:
    return cells_of(config.deep) + width * (1 + 2 * config.crosses)


def build(config: DCNv2Config, context: BuildContext) -> FieldModel:
    """An untrained model."""
    return FieldModel(lambda: DCNv2(config, context), config.fields, context)


def memory(config: DCNv2Config, sizes: Sizes) -> float:
    """Bytes at most: see `FieldModel`."""
    width = 8 * config.dim
    weights = weights_of(config.deep, width) + config.crosses * width * (2 * config.rank or width)
    return peak_bytes(Footprint(config.dim, width // 2, weights, _cells(config, width)), config, sizes)


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
