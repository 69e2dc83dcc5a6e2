"""The model around a network of fields: a logit is a product of two halves, plus what a deep part says of both.

Whatever of a logit decomposes is computed once for each user and once for each item; only the deep part looks at pairs,
a piece at a time, so that no [P, I, F, D] exists.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from recsmith.contracts.data import ABSENT, FloatArray, Histories, Interactions, Requests, State
from recsmith.contracts.domains import Float, Int
from recsmith_plugins.blocks.fields import FieldsConfig, Reader, Rows, pace
from recsmith_plugins.blocks.memory import DRAWN, SCORES, SHARED, content_bytes, pairs_bytes, rows_at_once
from recsmith_plugins.blocks.next_item import seeded
from recsmith_plugins.blocks.parameters import load_into, state_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from recsmith.contracts.plugins import BuildContext, Sizes
    from recsmith.contracts.training import Batch, Training

CELLS = 1 << 20  # numbers that the deep part holds at once: 4 MB, about what a core's cache holds
KEPT = 1 << 25  # numbers of the deep part that are kept for the gradient (128 MB); beyond, they are computed again
CHUNK = 4096  # items at once where the whole catalogue is asked for
NARROWED: dict[str, Any] = {
    "batch_size": Int(128, 8192, log=True),
    "learning_rate": Float(1e-4, 3e-2, log=True),
    "weight_decay": Float(1e-5, 1.0, log=True),
}


@dataclass(frozen=True, eq=False)
class Half:
    """One side of the logits: `product` x product + `bias` + bias + deep part of both `deep`."""

    product: Tensor  # [n, K]
    deep: Tensor  # [n, W], which users and items need not have in common
    bias: Tensor  # [n]

    def flat(self) -> Tensor:
        """All of it as one vector each, [n, K + W + 1]."""
        return torch.cat([self.product, self.deep, self.bias.unsqueeze(1)], dim=1)

    @classmethod
    def of(cls, like: Tensor, product: Tensor | None = None, deep: Tensor | None = None, bias: Any = None) -> Half:
        """A half of what there is; `like` [n, ...] says of how many rows."""
        none = like.new_zeros(len(like), 0)
        zero = like.new_zeros(len(like)) if bias is None else bias
        return cls(none if product is None else product, none if deep is None else deep, zero)


class FieldNetwork(Protocol):
    """What a model's network, a torch module, tells; one without a deep part has `cells` 0 and no `deep`."""

    products: int  # K
    cells: int  # numbers that the deep part holds for a pair while it learns

    def user(self, rows: Rows) -> Half:
        """The users' halves."""
        ...

    def item(self, rows: Rows) -> Half:
        """The items' halves."""
        ...


class DeepNetwork(FieldNetwork, Protocol):
    """A network with a deep part."""

    def deep(self, users: Tensor, items: Tensor) -> Tensor:
        """Deep parts of the halves [..., W] and [..., V], broadcast against each other -> [...]."""
        ...


class Frame(nn.Module):
    """The network, the overall bias, and what serving must know: the range of ratings, whether the log has an order."""

    taken: Tensor  # [I, 1]: 1 for the items of the training rows
    range: Tensor  # [2]
    ordered: Tensor  # []

    def __init__(self, network: FieldNetwork, context: BuildContext, *, columns: bool) -> None:
        super().__init__()
        self.network: Any = network
        self.columns = columns  # items have some
        scale = context.ratings
        self.bias = nn.Parameter(torch.tensor(0.0 if scale is None else scale.mean))
        largest = torch.finfo(torch.float32).max  # an artifact keeps no infinities
        low, high = (-largest, largest) if scale is None else (scale.low, scale.high)
        self.register_buffer("range", torch.tensor([low, high], dtype=torch.float32))
        self.register_buffer("ordered", torch.tensor(data=False))
        taken = torch.from_numpy(context.item_counts > 0).float().unsqueeze(1)
        self.register_buffer("taken", taken, persistent=False)
        self.cached: Half | None = None
        self.register_load_state_dict_post_hook(_forget)  # type: ignore[no-untyped-call]

    def train(self, mode: bool = True) -> Self:  # noqa: FBT001, FBT002 - torch's signature
        """Switch between learning and serving; what was kept for serving is dropped."""
        self.cached = None
        return super().train(mode)

    def items(self, numbers: Tensor, id_dropout: float) -> Half:
        """The halves of items [n]."""
        identity = self.taken[numbers]
        if self.training and self.columns:
            identity = identity * (torch.rand_like(identity) >= id_dropout)
        half: Half = self.network.item(Rows(numbers, identity, torch.ones_like(identity)))
        return half

    def catalogue(self, id_dropout: float) -> Half:
        """The halves of all items; kept while the model serves."""
        keep = not self.training and not torch.is_grad_enabled()
        if keep and self.cached is not None:
            return self.cached
        numbers = torch.arange(len(self.taken), device=self.taken.device)
        parts = [self.items(numbers[at : at + CHUNK], id_dropout) for at in range(0, len(numbers), CHUNK)]
        whole = Half(*(torch.cat([getattr(part, field.name) for part in parts]) for field in fields(Half)))
        if keep:
            self.cached = whole
        return whole


def _forget(frame: nn.Module, _: object) -> None:
    """Drop what was made with other parameters than those just loaded."""
    frame.cached = None  # type: ignore[assignment]


class Settings(Protocol):
    """What the settings of every model of fields hold."""

    @property
    def fields(self) -> FieldsConfig:
        """How fields are read."""
        ...

    @property
    def training(self) -> Training:
        """How the model is learnt."""
        ...


class FieldModel:
    """A gradient model of pairs (`GraphModel`, `PacedModel`), whose weights follow from the context's seed.

    A user that training has not seen has recent items only, an item its columns. In training the item of a pair is left
    out of the user's recent items. Where ratings are judged, logits are ratings, cut to their range at serving.

    Memory: that of `pairs_bytes` for V (U + 2 I + F) and the layers' parameters for F features, and of `content_bytes`
    for W stored numbers of an item. Where histories are read, 52 bytes for each of the last T interactions of a user,
    and 64 T for each user of a batch or chunk of requests. 32 V for each of those users and for each item of which a
    batch needs the vector, 8 for each number of the items' halves, 8 for each number of the deep part that is held at
    once.
    """

    def __init__(self, make: Callable[[], FieldNetwork], config: FieldsConfig, context: BuildContext) -> None:
        self.config = config
        self.device = context.device
        content = context.item_content
        columns = content is not None and any(features.shape[1] for features in content.features.values())
        self.module: Any = seeded(lambda: Frame(make(), context, columns=columns), context).to(context.device)
        self.reader = Reader(config, context.item_counts > 0, context.device)
        self.log: Histories | None = None

    def graph(self, interactions: Interactions) -> None:
        """Keep what everybody did last."""
        self.module.ordered.fill_(interactions.ordered)
        if self.config.history != "none":
            self.log = interactions.histories.last(self.config.length)

    def pace(self, epoch: int) -> Mapping[str, float]:
        """Encoders that learn with the model have a pace of their own."""
        return pace(self.config, epoch, self.module)

    def queries(self, batch: Batch) -> Tensor:
        """The users' halves of the batch's pairs, [P, K + W + 1]."""
        known = torch.ones(len(batch.user), 1, device=batch.user.device)
        identity = known
        if self.module.training:
            identity = (torch.rand_like(known) >= self.config.id_dropout).float()
        recent = None
        if self.log is not None:
            histories = self.log.take(batch.user.cpu().numpy())
            without = batch.positives.cpu().numpy()
            recent = self.reader.read(histories, ordered=bool(self.module.ordered), without=without)
        half: Half = self.module.network.user(Rows(batch.user, identity, known, recent))
        return half.flat()

    def logits(self, queries: Tensor, items: Tensor | None) -> Tensor:
        """Queries [P, K + W + 1] with items [n] or [P, n] -> [P, n]; with None -> [P, I]."""
        place = None
        if items is None:
            half = self.module.catalogue(self.config.id_dropout)
        else:
            distinct, place = torch.unique(items, return_inverse=True)
            half = self.module.items(distinct, self.config.id_dropout)
        return _logits(self.module, queries, half, place)

    def scores(self, requests: Requests) -> FloatArray:
        """Scores of all items, [B, I]; predicted ratings where the model has learnt those."""
        known = torch.from_numpy((requests.user_num != ABSENT).astype(np.float32)).to(self.device).unsqueeze(1)
        numbers = torch.from_numpy(np.maximum(requests.user_num, 0).astype(np.int64)).to(self.device)
        if self.module.training:
            self.module.eval()
        recent = None
        if self.config.history != "none":
            recent = self.reader.read(requests.histories, ordered=bool(self.module.ordered))
        with torch.inference_mode():
            queries = self.module.network.user(Rows(numbers, known, known, recent)).flat()
            scores = self.logits(queries, None).clamp_(*self.module.range.tolist())
        found: FloatArray = scores.cpu().numpy()
        return found

    def state(self) -> State:
        """The network's parameters, the range of ratings and whether the log has an order."""
        return state_of(self.module)

    def load(self, state: State) -> None:
        """Take them."""
        load_into(self.module, state)


def _logits(frame: Frame, queries: Tensor, half: Half, place: Tensor | None) -> Tensor:
    """Logits of the items that `half` has, [P, m]; of those at `place`, [n] or [P, n], where that is given."""
    K = frame.network.products
    product, deep, bias = queries[:, :K], queries[:, K:-1], queries[:, -1:] + frame.bias
    if place is not None and place.ndim == 1:
        half, place = Half(half.product[place], half.deep[place], half.bias[place]), None
    logits, own = product @ half.product.T if place is None else None, half.bias
    if logits is None:
        logits, own = torch.einsum("pk,pnk->pn", product, half.product[place]), half.bias[place]
    if torch.is_grad_enabled():
        logits = logits + own + bias
    else:
        logits.add_(own).add_(bias)  # a chunk of scores is large: no copies
    return _with_deep(frame.network, logits, (deep, half.deep), place) if frame.network.cells else logits


def _with_deep(network: DeepNetwork, logits: Tensor, halves: tuple[Tensor, Tensor], place: Tensor | None) -> Tensor:
    """Logits [P, m], or [P, n] of the items at `place`, plus the deep parts, computed piece by piece."""
    users, items = halves
    width = max(logits.shape[1], 1)
    pairs = max(1, CELLS // network.cells)
    rows, columns = max(1, pairs // width), min(width, pairs)
    heavy = torch.is_grad_enabled() and logits.numel() * network.cells > KEPT
    run = partial(checkpoint, use_reentrant=False) if heavy else _call

    def piece(at: int, start: int) -> Tensor:
        stop = start + columns
        some = items[start:stop] if place is None else items[place[at : at + rows, start:stop]]
        found: Tensor = run(network.deep, users[at : at + rows].unsqueeze(1), some)
        return found

    ats, starts = range(0, logits.shape[0], rows), range(0, logits.shape[1], columns)
    if torch.is_grad_enabled():
        lines = [torch.cat([piece(at, start) for start in starts], dim=1) for at in ats if starts]
        return logits + torch.cat(lines) if lines else logits
    for at in ats:
        for start in starts:
            logits[at : at + rows, start : start + columns] += piece(at, start)
    return logits


def _call(function: Callable[..., Tensor], *arguments: Tensor) -> Tensor:
    return function(*arguments)


@dataclass(frozen=True)
class Footprint:
    """Numbers that a network holds."""

    vectors: int  # V of a row in all tables of its side
    queries: int  # of a user's half, about as many as of an item's
    weights: int = 0  # of the layers
    cells: int = 0  # see `FieldNetwork`
    crosses: int = 0  # of an item, and of a feature of its columns, beside V


def peak_bytes(footprint: Footprint, config: Settings, sizes: Sizes) -> float:
    """Bytes at most at the peak of learning and of scoring a chunk: see `FieldModel`."""
    training, V, T = config.training, footprint.vectors, min(config.fields.length, sizes.longest)
    read = config.fields.history != "none"
    parameters = V * (sizes.users + sizes.items * (1 + read) + sizes.features) + footprint.weights
    parameters += footprint.crosses * (sizes.items + sizes.features)
    batch = min(training.batch_size, sizes.interactions)
    asking = max(batch, min(sizes.users, SCORES // (4 * sizes.items) + 1))
    recent = read * (52 * min(sizes.interactions, T * sizes.users) + 64 * T * asking)
    halves = (
        32 * (V + footprint.crosses) * rows_at_once(batch, training, sizes.items) + 8 * footprint.queries * sizes.items
    )
    pairs = batch * (1 + int(training.loss.params.get("negatives", DRAWN.get(training.loss.name, 0))))
    kept = (
        KEPT if training.loss.name in SHARED or training.loss.name not in DRAWN else min(KEPT, pairs * footprint.cells)
    )
    deep = 8 * max(kept, CELLS) if footprint.cells else 0
    content = content_bytes(sizes.items, sizes.width, 0)
    return (
        pairs_bytes(parameters, footprint.queries, training, sizes) + content + recent + halves + deep + 32 * V * asking
    )
