"""The fields of a user and of an item: identity, encoded columns, recent items; a vector for each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import embedding_bag

from recsmith.contracts.config import Config
from recsmith.contracts.content import Content
from recsmith.contracts.domains import Categorical, Float, Int
from recsmith_plugins.blocks.content_tower import LEARNING, Tower, TowerConfig
from recsmith_plugins.blocks.dropout import Dropout

if TYPE_CHECKING:
    from collections.abc import Mapping

    from recsmith.contracts.data import BoolArray, FeatureMatrix, Histories, LongArray
    from recsmith.contracts.plugins import BuildContext

ACTIVATIONS = {"relu": nn.ReLU, "gelu": nn.GELU, "silu": nn.SiLU}
LEAST = 1e-12


class FieldsConfig(Config):
    """How fields are read. `init_std` is the deviation of the first vectors' elements.

    In training the identity of a user is left out with probability `id_dropout`, and that of an item too where items
    have columns, so that the other fields learn to do without it: a new user has recent items only, a new item its
    columns. `history` is the mean of the vectors of the last `length` items, each of them weighing alike ("mean") or
    half as much as the one `half_life` interactions later ("recent", where the log has an order). Weights have the sum
    1, or with `unit` the square sum 1, so that long histories are not shorter vectors.

    Encoders that learn with the model have `encoder_rate` times its learning rate, and are frozen for the first
    `frozen_epochs`.
    """

    id_dropout: Annotated[float, Float(0.0, 0.9)] = 0.2
    history: Annotated[str, Categorical(("none", "mean", "recent"))] = "mean"
    length: Annotated[int, Int(5, 200, log=True)] = 50  # T
    half_life: Annotated[float, Float(1.0, 100.0, log=True)] = 10.0  # interactions
    unit: Annotated[bool, Categorical((False, True))] = True
    feature_dropout: Annotated[float, Float(0.0, 0.8)] = 0.2  # of the features of a frozen column
    init_std: Annotated[float, Float(0.005, 0.3, log=True)] = 0.05
    encoder_rate: Annotated[float, Float(0.01, 1.0, log=True)] = 0.5
    frozen_epochs: Annotated[int, Int(0, 5)] = 0


@dataclass(frozen=True, eq=False)
class Recent:
    """What n users did last, as bags: bag b is `items[starts[b]:starts[b + 1]]`, which may be empty."""

    items: Tensor  # [M] int64
    starts: Tensor  # [n] int64
    weights: Tensor  # [M] float32


@dataclass(frozen=True, eq=False)
class Rows:
    """Whose fields are asked for."""

    numbers: Tensor  # [n] int64; any valid number where nothing is known
    identity: Tensor  # [n, 1] float32: 1 where the identity counts
    known: Tensor  # [n, 1] float32: 1 where the columns count
    recent: Recent | None = None


class Fields(nn.Module):
    """Vectors of the F fields of one side, `Rows` of n -> [n, F, D]; zeros where a field says nothing.

    Every encoded column is a field. A fuser that serves networks only (attention) makes one field of all of them.
    """

    def __init__(
        self, config: FieldsConfig, rows: int, content: Content | None, width: int, *, recent: int = 0
    ) -> None:
        super().__init__()
        self.ids = _table(rows, width, config.init_std)
        nobody = np.zeros(rows, np.bool_)
        tower = TowerConfig(
            id_dropout=1.0,
            lookalikes=0,
            feature_dropout=config.feature_dropout,
            init_std=config.init_std,
        )
        self.columns = nn.ModuleList([Tower(tower, nobody, part, width) for part in _columns(content)])
        self.recent = _table(recent, width, config.init_std) if recent else None
        self.count = 1 + len(self.columns) + bool(recent)  # F

    def forward(self, rows: Rows) -> Tensor:
        """[n, F, D]."""
        fields = [self.ids(rows.numbers) * rows.identity]
        fields += [column(rows.numbers) * rows.known for column in self.columns]
        if self.recent is not None:
            fields.append(self._recent(rows.recent, fields[0]))
        return torch.stack(fields, dim=1)

    def _recent(self, recent: Recent | None, like: Tensor) -> Tensor:
        if recent is None or self.recent is None or not len(recent.items):
            return torch.zeros_like(like)
        return embedding_bag(
            recent.items,
            self.recent.weight,
            recent.starts,
            mode="sum",
            sparse=self.recent.sparse,  # as the trainer wishes
            per_sample_weights=recent.weights,
        )


def user_fields(config: FieldsConfig, context: BuildContext, width: int) -> Fields:
    """Identity, user columns and, where `history` is on, recent items."""
    recent = 0 if config.history == "none" else context.items
    return Fields(config, context.users, context.user_content, width, recent=recent)


def item_fields(config: FieldsConfig, context: BuildContext, width: int) -> Fields:
    """Identity and item columns."""
    return Fields(config, context.items, context.item_content, width)


def pairwise(vectors: Tensor) -> Tensor:
    """Sum of the products of all pairs of fields, [..., F, D] -> [...], in O(F D) (Rendle 2010, lemma 3.1)."""
    total: Tensor = 0.5 * (vectors.sum(-2).square() - vectors.square().sum(-2)).sum(-1)
    return total


def factorised(vectors: Tensor) -> tuple[Tensor, Tensor]:
    """Of fields [n, F, D + 1], vectors and first-order weights, the sum of the vectors [n, D] and all but it [n].

    The second is the sum of the weights plus `pairwise`: what a factorization machine says of one side by itself.
    """
    vectors, first = vectors[..., :-1], vectors[..., -1]
    return vectors.sum(1), first.sum(1) + pairwise(vectors)


def pace(config: FieldsConfig, epoch: int, module: nn.Module) -> Mapping[str, float]:
    """The learning rate's factor of each encoder that learns with the module (`PacedModel.pace`)."""
    factor = 0.0 if epoch <= config.frozen_epochs else config.encoder_rate
    towers = ((name, part) for name, part in module.named_modules() if isinstance(part, Tower))
    return {f"{name}.{LEARNING}": factor for name, tower in towers if len(tower.learning)}


@dataclass(frozen=True, eq=False)
class Reader:
    """Turns histories into bags; of items that nobody took in training there is nothing to read."""

    config: FieldsConfig
    taken: BoolArray  # [I]
    device: str

    def read(self, histories: Histories, *, ordered: bool, without: LongArray | None = None) -> Recent:
        """The recent items of B histories; `without` [B] names an item of each that is passed over."""
        recent = histories.last(self.config.length)
        rows, items = recent.rows, recent.item_num.astype(np.int64)
        weights = self.taken[items].astype(np.float64)
        if without is not None:
            weights *= items != without[rows]
        if ordered and self.config.history == "recent":
            later = recent.indptr[rows + 1] - 1 - np.arange(len(items))
            weights *= np.exp2(-later / self.config.half_life)
        power = 2 if self.config.unit else 1
        size = np.bincount(rows, weights**power, minlength=len(recent)) ** (1 / power)
        weights /= np.maximum(size, LEAST)[rows]
        arrays = (items, recent.indptr[:-1], weights.astype(np.float32))
        return Recent(*(torch.from_numpy(array).to(self.device) for array in arrays))


def _table(rows: int, width: int, std: float) -> nn.Embedding:
    table = nn.Embedding(rows, width)
    nn.init.normal_(table.weight, std=std)
    return table


def _columns(content: Content | None) -> list[Content]:
    """What makes a field each: every column that has features, or all of them where only a network joins them."""
    names = [] if content is None else [name for name, features in content.features.items() if features.shape[1]]
    if content is None or not names:
        return []
    if not hasattr(content.fuser, "fuse"):
        return [content]
    encoders = content.encoders
    return [
        Content(
            content.rows,
            {name: content.features[name]},
            _Alone(),
            {name: encoders[name]} if name in encoders else {},
        )
        for name in names
    ]


class _Alone:
    """The fuser of one column."""

    def fuse(self, features: Mapping[str, FeatureMatrix]) -> FeatureMatrix:
        """The column."""
        (only,) = features.values()
        return only


# --- pairs ------------------------------------------------------------------------------------------------------------


class DeepConfig(Config):
    """A perceptron of pairs. `norm` normalises within a pair, never over the batch."""

    layers: Annotated[int, Int(1, 4)] = 2
    width: Annotated[int, Int(16, 256, log=True)] = 64
    activation: Annotated[str, Categorical(tuple(ACTIVATIONS))] = "relu"
    dropout: Annotated[float, Float(0.0, 0.6)] = 0.2
    norm: Annotated[bool, Categorical((False, True))] = False


class Perceptron(nn.Module):
    """A perceptron over a user's and an item's numbers side by side.

    Its first layer is linear in both, so it is computed of each by itself: `user` [n, U'] and `item` [m, I'] -> width,
    and their sum goes through the rest.
    """

    def __init__(self, config: DeepConfig, users: int, items: int) -> None:
        super().__init__()
        self.user = nn.Linear(users, config.width)
        self.item = nn.Linear(items, config.width, bias=False)
        for half in (self.user, self.item):  # as one layer over all of them
            nn.init.normal_(half.weight, std=(2.0 / (users + items)) ** 0.5)
        nn.init.zeros_(self.user.bias)
        self.rest = nn.Sequential(*_rest(config))
        self.cells = cells_of(config)
        self.out = nn.Linear(config.width, 1, bias=False)
        nn.init.normal_(self.out.weight, std=config.width**-0.5)

    def forward(self, users: Tensor, items: Tensor) -> Tensor:
        """First layers [..., width] of users and items, broadcast against each other -> [...]."""
        logits: Tensor = self.out(self.rest(users + items)).squeeze(-1)
        return logits


def cells_of(config: DeepConfig) -> int:
    """Numbers that a perceptron holds for each pair while it learns."""
    return config.layers * config.width * (4 if config.norm else 3)


def weights_of(config: DeepConfig, inputs: int) -> int:
    """Its weights."""
    return config.width * (inputs + 3 * config.layers + (config.layers - 1) * config.width + 1)


def _rest(config: DeepConfig) -> list[nn.Module]:
    modules: list[nn.Module] = []
    for layer in range(config.layers):
        if layer:
            linear = nn.Linear(config.width, config.width)
            nn.init.kaiming_normal_(linear.weight, nonlinearity="relu")
            nn.init.zeros_(linear.bias)
            modules.append(linear)
        if config.norm:
            modules.append(nn.LayerNorm(config.width))
        modules += [ACTIVATIONS[config.activation](), Dropout(config.dropout)]
    return modules
