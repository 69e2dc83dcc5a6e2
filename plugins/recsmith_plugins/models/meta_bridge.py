"""A personal bridge between domains: a network makes of what a user did elsewhere the map that carries her over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np
import torch
from torch import Tensor, nn

from recsmith.contracts.config import Choice, Config
from recsmith.contracts.data import ABSENT, FloatArray, Histories, Interactions, Requests, State
from recsmith.contracts.domains import Float, Int, Narrowed
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import BuildContext, ModelSpec, Sizes
from recsmith.contracts.training import Training
from recsmith_plugins.blocks.dropout import Dropout
from recsmith_plugins.blocks.memory import SCORES, pairs_bytes
from recsmith_plugins.blocks.next_item import seeded
from recsmith_plugins.blocks.parameters import load_into, state_of

if TYPE_CHECKING:
    from recsmith.contracts.training import Batch


class MetaBridgeConfig(Config):
    """Settings. `init_std` is the deviation of the first vectors' elements, `length` the recent interactions read."""

    dim: Annotated[int, Int(4, 64, log=True)] = 32  # D
    hidden: Annotated[int, Int(8, 128, log=True)] = 32  # width of the network that makes bridges, and of the attention
    length: Annotated[int, Int(5, 200, log=True)] = 50  # T
    dropout: Annotated[float, Float(0.0, 0.6)] = 0.2  # of the numbers of a user's vectors
    id_dropout: Annotated[float, Float(0.0, 0.9)] = 0.5  # of users
    init_std: Annotated[float, Float(0.005, 0.3, log=True)] = 0.05
    training: Annotated[
        Training,
        Narrowed({"batch_size": Int(128, 8192, log=True), "weight_decay": Float(1e-5, 1.0, log=True)}),
    ] = Training(
        batch_size=1024, learning_rate=3e-3, weight_decay=0.1, loss=Choice(name="bce", params={"negatives": 4})
    )


@dataclass(frozen=True, eq=False)
class Recent:
    """What B users did last: M interactions, of which `weight` 0 passes one over."""

    items: Tensor  # [M] int64
    rows: Tensor  # [M] int64, whose
    weight: Tensor  # [M] float32
    size: int  # B


class Network(nn.Module):
    """Item vectors, user vectors, and the network that makes a bridge of a user's history elsewhere."""

    inside: Tensor  # [I]: 1 for the items of the target domain

    def __init__(self, config: MetaBridgeConfig, context: BuildContext) -> None:
        super().__init__()
        D, hidden = config.dim, config.hidden
        inside = np.zeros(context.items) if context.candidates is None else context.candidates
        self.register_buffer("inside", torch.from_numpy(np.asarray(inside, np.float32)))
        self.user = nn.Embedding(context.users, D)
        self.item = nn.Embedding(context.items, D)
        for table in (self.user, self.item):
            nn.init.normal_(table.weight, std=config.init_std)
        self.bias = nn.Parameter(torch.zeros(context.items))
        self.attention = nn.Sequential(nn.Linear(D, hidden), nn.ReLU(), nn.Linear(hidden, 1))
        last = nn.Linear(hidden, D * D)
        nn.init.zeros_(last.weight)  # every bridge starts as the identity
        nn.init.zeros_(last.bias)
        self.bridge = nn.Sequential(nn.Linear(D, hidden), nn.ReLU(), last)
        self.dropout = Dropout(config.dropout)
        self.id_dropout = config.id_dropout

    def forward(self, numbers: Tensor, known: Tensor, recent: Recent) -> Tensor:
        """Queries [B, 2 D], outside and inside the target domain, of users [B] and which of them are known, [B, 1]."""
        vectors, inside = self.item(recent.items), self.inside[recent.items]
        outside = recent.weight * (1.0 - inside)
        if self.training:
            known = known * (torch.rand_like(known) >= self.id_dropout)
        own = known * self.user(numbers)
        source = own + _pooled(vectors, outside, recent)
        relevance = self.attention(vectors).squeeze(-1).clamp(-10.0, 10.0).exp() * outside
        trait = _summed(vectors, relevance, recent) / _summed(None, relevance, recent).clamp_min(1e-12)
        maps = self.bridge(trait).view(recent.size, source.shape[1], source.shape[1])
        carried = source + torch.bmm(maps, source.unsqueeze(2)).squeeze(2)
        target = carried + _pooled(vectors, recent.weight * inside, recent)
        return torch.cat([self.dropout(source), self.dropout(target)], dim=1)

    def items(self, numbers: Tensor) -> Tensor:
        """The vectors of items, [..., 2 D], in the half of their domain."""
        vectors, inside = self.item(numbers), self.inside[numbers].unsqueeze(-1)
        return torch.cat([vectors * (1.0 - inside), vectors * inside], dim=-1)


def _summed(vectors: Tensor | None, weight: Tensor, recent: Recent) -> Tensor:
    """Weighted sums of each user's rows, [B, D]; without vectors the sums of the weights, [B, 1]."""
    parts = weight.unsqueeze(1) if vectors is None else vectors * weight.unsqueeze(1)
    return parts.new_zeros(recent.size, parts.shape[1]).index_add(0, recent.rows, parts)


def _pooled(vectors: Tensor, weight: Tensor, recent: Recent) -> Tensor:
    """The sum of each user's vectors over the root of their number, [B, D]: long histories are not shorter vectors."""
    return _summed(vectors, weight, recent) / _summed(None, weight, recent).clamp_min(1.0).sqrt()


class MetaBridge:
    """A gradient model of pairs (`GraphModel`). Scores are query x item vector + item bias.

    Outside the target domain the query is s, the user's vector and her recent items there; inside it is s + B(p) s +
    her recent items inside. B(p) is a matrix that a perceptron makes of p, her items outside weighed by attention: each
    user has a bridge of her own, also one that training has not seen, who has no vector but has a history.

    What differs from Zhu et al. 2022 (PTUPCDR): vectors, attention and bridges are learnt at once, by a ranking loss
    over all domains, instead of factors first and bridges of their ratings after; users with a history in the target
    domain have it count there; a bridge starts as the identity.

    Memory: that of `pairs_bytes` for D (U + I) + I + (D + 2) hidden + D^2 (hidden + 1) parameters, and for each user of
    a batch or chunk of requests 8 T (6 D + 2 hidden + 8) + 16 D^2 bytes.
    """

    def __init__(self, config: MetaBridgeConfig, context: BuildContext) -> None:
        self.config = config
        self.device = context.device
        self.module: Network = seeded(lambda: Network(config, context), context).to(context.device)  # type: ignore[assignment]
        self.log: Histories | None = None

    def graph(self, interactions: Interactions) -> None:
        """Keep what everybody did last."""
        self.log = interactions.histories.last(self.config.length)

    def queries(self, batch: Batch) -> Tensor:
        """Queries of the batch's pairs, [P, 2 D]; the item of a pair is left out of the user's recent items."""
        if self.log is None:
            raise TypeError("meta_bridge reads histories: give it the log first")
        histories = self.log.take(batch.user.cpu().numpy())
        recent = self._recent(histories, batch.positives.cpu().numpy())
        found: Tensor = self.module(batch.user, torch.ones(len(batch.user), 1, device=batch.user.device), recent)
        return found

    def _recent(self, histories: Histories, without: np.ndarray | None = None) -> Recent:
        last = histories.last(self.config.length)
        items, rows = last.item_num.astype(np.int64), last.rows.astype(np.int64)
        weight = np.ones(len(items), np.float32) if without is None else (items != without[rows]).astype(np.float32)
        read = [torch.from_numpy(array).to(self.device) for array in (items, rows, weight)]
        return Recent(read[0], read[1], read[2], len(last))

    def logits(self, queries: Tensor, items: Tensor | None) -> Tensor:
        """Queries [P, 2 D] with items [n] or [P, n] -> [P, n]; with None -> [P, I]."""
        if items is None:
            everything = torch.arange(len(self.module.bias), device=queries.device)
            return queries @ self.module.items(everything).T + self.module.bias
        vectors, bias = self.module.items(items), self.module.bias[items]
        return (queries @ vectors.T if items.ndim == 1 else torch.einsum("pd,pnd->pn", queries, vectors)) + bias

    def scores(self, requests: Requests) -> FloatArray:
        """Scores of all items, [B, I]."""
        numbers = torch.from_numpy(np.maximum(requests.user_num, 0).astype(np.int64)).to(self.device)
        known = torch.from_numpy((requests.user_num != ABSENT).astype(np.float32)).to(self.device).unsqueeze(1)
        self.module.eval()
        with torch.inference_mode():
            queries = self.module(numbers, known, self._recent(requests.histories))
            found: FloatArray = self.logits(queries, None).cpu().numpy()
        return found

    def state(self) -> State:
        """The network's parameters, and which items are inside."""
        return state_of(self.module)

    def load(self, state: State) -> None:
        """Take them."""
        load_into(self.module, state)


def build(config: MetaBridgeConfig, context: BuildContext) -> MetaBridge:
    """An untrained model."""
    return MetaBridge(config, context)


def memory(config: MetaBridgeConfig, sizes: Sizes) -> float:
    """Bytes at most: see `MetaBridge`."""
    D, hidden, T = config.dim, config.hidden, min(config.length, sizes.longest)
    parameters = D * (sizes.users + sizes.items) + sizes.items + (D + 2) * hidden + D**2 * (hidden + 1)
    asking = max(
        min(config.training.batch_size, sizes.interactions), min(sizes.users, SCORES // (4 * sizes.items or 1) + 1)
    )
    network = asking * (8 * T * (6 * D + 2 * hidden + 8) + 16 * D**2)
    return pairs_bytes(parameters, 2 * D, config.training, sizes) + network + 16 * D * sizes.items


@hookimpl
def provide_models() -> list[ModelSpec]:
    """The personal bridge."""
    return [
        ModelSpec(
            name="meta_bridge",
            api_version=1,
            config=MetaBridgeConfig,
            needs=frozenset({"target_domain"}),
            offers=frozenset({"ranking", "new_users"}),
            source=(
                "Zhu, Tang, Liu, Zhuang, Xie, Zhang, Lin and He 2022, Personalized Transfer of User Preferences for "
                "Cross-domain Recommendation, https://arxiv.org/abs/2110.11154"
            ),
            build=build,
            training="gradient",
            examples="pairs",
            cost="minutes",
            memory=memory,
        )
    ]
