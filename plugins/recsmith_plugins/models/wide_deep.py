"""Wide & Deep: a linear model over fields and their crosses remembers, a perceptron generalises."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import numpy as np
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
    Fields,
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


FIRST = 1e-3  # deviation of the crosses' first weights


class WideDeepConfig(Config):
    """Settings. `crosses` is the number of buckets of recent items that are crossed with items, 0 for none."""

    dim: Annotated[int, Int(8, 128, log=True)] = 32  # D
    crosses: Annotated[int, Categorical((0, 64, 256, 1024))] = 256
    deep: DeepConfig = DeepConfig()
    fields: FieldsConfig = FieldsConfig()
    content: ItemContent = ItemContent()
    user_content: UserContent = UserContent()
    training: Annotated[Training, Narrowed(NARROWED)] = Training(
        batch_size=1024, learning_rate=3e-3, weight_decay=0.1, loss=Choice(name="bce", params={"negatives": 4})
    )


class WideDeep(nn.Module):
    """The logit is the sum of a wide and a deep one (Cheng et al., equation 3).

    Wide: a weight for each field, and for each cross of a recent item with the candidate and with each of its features:
    AND(did j lately, i). Recent items are hashed into buckets, the most popular into one each: with as many buckets as
    items the weights are those of all pairs.

    Differs from the paper: user columns are not crossed (they are in the deep part), both parts learn by one optimiser
    instead of FTRL and Adagrad, and the perceptron's first layer is computed of users and items apart. Memory: see
    `FieldModel`, V = D + 1, and as many numbers more as there are buckets for each item.
    """

    buckets: Tensor  # [I] the bucket of every recent item

    def __init__(self, config: WideDeepConfig, context: BuildContext) -> None:
        super().__init__()
        D, fields = config.dim, config.fields
        self.products = config.crosses if fields.history != "none" else 0
        self.users = user_fields(fields, context, D + 1)
        self.items = item_fields(fields, context, D + 1)
        small = fields.model_copy(update={"init_std": FIRST})
        self.crosses = Fields(small, context.items, context.item_content, self.products) if self.products else None
        popular = np.argsort(np.argsort(-context.item_counts, kind="stable"), kind="stable")
        self.register_buffer("buckets", torch.from_numpy(popular % max(self.products, 1)), persistent=False)
        self.perceptron = Perceptron(config.deep, self.users.count * D, self.items.count * D)
        self.cells = self.perceptron.cells

    def user(self, rows: Rows) -> Half:
        """Buckets of recent items, first layer, and first-order weights."""
        vectors = self.users(rows)
        deep = self.perceptron.user(vectors[..., :-1].flatten(1))
        return Half.of(vectors, product=self._bucketed(rows), deep=deep, bias=vectors[..., -1].sum(1))

    def item(self, rows: Rows) -> Half:
        """The crosses' weights, first layer, and first-order weights."""
        vectors = self.items(rows)
        weights = None if self.crosses is None else self.crosses(rows).sum(1)
        deep = self.perceptron.item(vectors[..., :-1].flatten(1))
        return Half.of(vectors, product=weights, deep=deep, bias=vectors[..., -1].sum(1))

    def _bucketed(self, rows: Rows) -> Tensor:
        """How much of the recent items lies in each bucket, [n, crosses]."""
        found = torch.zeros(len(rows.numbers), self.products, device=rows.numbers.device)
        recent = rows.recent
        if recent is None or not self.products:
            return found
        ends = torch.cat([recent.starts[1:], recent.starts.new_tensor([len(recent.items)])])
        row = torch.arange(len(found), device=found.device).repeat_interleave(ends - recent.starts)
        return found.index_put_((row, self.buckets[recent.items]), recent.weights, accumulate=True)

    def deep(self, users: Tensor, items: Tensor) -> Tensor:
        """The rest of the perceptron."""
        logits: Tensor = self.perceptron(users, items)
        return logits


def build(config: WideDeepConfig, context: BuildContext) -> FieldModel:
    """An untrained model."""
    return FieldModel(lambda: WideDeep(config, context), config.fields, context)


def memory(config: WideDeepConfig, sizes: Sizes) -> float:
    """Bytes at most: see `FieldModel`."""
    weights = weights_of(config.deep, 8 * config.dim)
    queries = config.crosses + config.deep.width + 1
    return peak_bytes(Footprint(config.dim + 1, queries, weights, cells_of(config.deep), config.crosses), config, sizes)


@hookimpl
def provide_models() -> list[ModelSpec]:
    """Wide & Deep."""
    return [
        ModelSpec(
            name="wide_deep",
            api_version=1,
            config=WideDeepConfig,
            offers=frozenset({"ranking", "ratings", "new_users", "new_items"}),
            source=(
                "Cheng et al. 2016, Wide & Deep Learning for Recommender Systems, https://arxiv.org/abs/1606.07792"
            ),
            build=build,
            training="gradient",
            examples="pairs",
            cost="minutes",
            memory=memory,
        )
    ]
