"""LightGCN: vectors of users and items are averaged over what lies one, two, three steps away in their graph.

Differs from He et al. (2020): weight decay acts on both tables in every step, not on the rows of the batch; edges may
be left out at random in training (as in NGCF and SGL; off by default), each pair in both directions at once; users that
training has not seen are folded in (see `LightGCN`); loss, sampler and batch size are searched, and by default each
positive is held against 8 negatives (ml-100k, validation NDCG@10: .082; with one, .074).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Self

import numpy as np
import torch
from scipy import sparse
from torch import Tensor, nn
from torch.nn.functional import embedding_bag

from recsmith.contracts.config import Choice, Config
from recsmith.contracts.data import ABSENT, FloatArray, Requests, State
from recsmith.contracts.domains import Float, Int, Narrowed
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import BuildContext, ModelSpec, Sizes
from recsmith.contracts.training import Training
from recsmith_plugins.blocks.memory import logits_at_once
from recsmith_plugins.blocks.parameters import load_into, state_of

if TYPE_CHECKING:
    from recsmith.contracts.data import Histories, Interactions
    from recsmith.contracts.training import Batch

SERVED = ("served.users", "served.items", "served.parts")  # what serving needs, in the state


class LightGCNConfig(Config):
    """Settings. `init_std` is the deviation of the first vectors."""

    dim: Annotated[int, Int(8, 256, log=True)] = 64
    layers: Annotated[int, Int(1, 4)] = 3  # L, steps through the graph
    edge_dropout: Annotated[float, Float(0.0, 0.6)] = 0.0  # share of the edges that are left out of a training step
    init_std: Annotated[float, Float(0.01, 0.3, log=True)] = 0.1
    training: Annotated[
        Training,
        Narrowed(
            {
                "learning_rate": Float(5e-4, 5e-2, log=True),
                "batch_size": Int(512, 16384, log=True),
                "weight_decay": Float(1e-6, 1.0, log=True),
            }
        ),
    ] = Training(
        batch_size=2048, learning_rate=2e-2, weight_decay=0.05, loss=Choice(name="bpr", params={"negatives": 8})
    )


@dataclass(frozen=True, eq=False)
class Lists:
    """The edges of one side, list by list: a sparse matrix in rows."""

    neighbours: Tensor  # [N] int64
    bounds: Tensor  # [lists + 1] int64
    weights: Tensor  # [N]

    def sums(self, table: Tensor) -> Tensor:
        """Of every list, the weighted sum of its neighbours' rows of the table: [lists, D]."""
        return embedding_bag(
            self.neighbours, table, self.bounds, mode="sum", per_sample_weights=self.weights, include_last_offset=True
        )


class Step(torch.autograd.Function):
    """Sums over neighbours whose gradient is the sums over theirs: the transpose stands beside the matrix."""

    @staticmethod
    def forward(ctx: Any, table: Tensor, lists: Lists, transposed: Lists) -> Tensor:
        """[m, D] -> [n, D]."""
        ctx.transposed = transposed
        return lists.sums(table)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        """[n, D] -> [m, D]."""
        return ctx.transposed.sums(gradients[0].contiguous()), None, None


def _step(table: Tensor, lists: Lists, transposed: Lists) -> Tensor:
    sums: Tensor = Step.apply(table, lists, transposed)  # type: ignore[no-untyped-call]
    return sums


@dataclass(frozen=True, eq=False)
class Graph:
    """Who took what: each pair once, weighing 1 / sqrt(items of the user x users of the item)."""

    users: Lists
    items: Lists
    order: Tensor  # [N] the place among `users`' edges of each of `items`' edges
    scale: Tensor  # [I, 1] 1 / sqrt(users of the item), 0 for an item that nobody took

    def thinned(self, share: float) -> tuple[Lists, Lists]:
        """Without a random share of the edges, the others scaled up. Draws from torch's global generator."""
        if share == 0.0:
            return self.users, self.items
        kept = torch.rand_like(self.users.weights) >= share
        weights = self.users.weights * kept / (1.0 - share)
        return (
            Lists(self.users.neighbours, self.users.bounds, weights),
            Lists(self.items.neighbours, self.items.bounds, weights[self.order]),
        )


def graph_of(histories: Histories, items: int, device: str) -> Graph:
    """The graph of the training rows."""
    pairs = histories.matrix(items)
    degrees = [np.diff(pairs.indptr), np.bincount(pairs.indices, minlength=items)]
    users, scale = (1.0 / np.sqrt(np.maximum(degree, 1)) * (degree > 0) for degree in degrees)
    weights = (np.repeat(users, degrees[0]) * scale[pairs.indices]).astype(np.float32)
    places = sparse.csr_array((np.arange(pairs.nnz), pairs.indices, pairs.indptr), shape=pairs.shape).tocsc()

    def tensor(array: Any, dtype: Any = np.int64) -> Tensor:
        return torch.from_numpy(array.astype(dtype)).to(device)

    return Graph(
        Lists(tensor(pairs.indices), tensor(pairs.indptr), tensor(weights, np.float32)),
        Lists(tensor(places.indices), tensor(places.indptr), tensor(weights[places.data], np.float32)),
        tensor(places.data),
        tensor(scale[:, None], np.float32),
    )


class Tables(nn.Module):
    """The vectors that are learnt, the graph, and the vectors that follow from both."""

    def __init__(self, config: LightGCNConfig, users: int, items: int) -> None:
        super().__init__()
        self.config = config
        self.user = nn.Embedding(users, config.dim)
        self.item = nn.Embedding(items, config.dim)
        self.graph: Graph | None = None
        self.served: tuple[Tensor, Tensor, Tensor] | None = None
        nn.init.normal_(self.user.weight, std=config.init_std)
        nn.init.normal_(self.item.weight, std=config.init_std)

    def train(self, mode: bool = True) -> Self:  # noqa: FBT001, FBT002 - torch's signature
        """Switch between learning and serving; what was kept for serving is dropped."""
        if mode:
            self.served = None
        return super().train(mode)

    def forward(self) -> tuple[Tensor, Tensor, Tensor]:
        """Means over the layers 0 to L, of users [U, D] and of items [I, D], and an item's part in a user, [I, D].

        A user's mean is its own vector / (L + 1) plus, over its items, their parts / sqrt(number of its items).
        """
        user, item, count = self.user.weight, self.item.weight, self.config.layers + 1
        if self.graph is None:  # nothing is known of anybody: layers from 1 on are zeros
            return user / count, item / count, torch.zeros_like(item)
        by_user, by_item = self.graph.thinned(self.config.edge_dropout if self.training else 0.0)
        users, items = user, item
        for _ in range(self.config.layers):
            below = items  # the sum of the items' layers that users hear of
            user, item = _step(item, by_user, by_item), _step(user, by_item, by_user)
            users, items = users + user, items + item
        return users / count, items / count, below * self.graph.scale / count


class LightGCN:
    """Scores are user vector x item vector, each the mean over the layers of the propagation.

    A user that training has not seen is folded in: propagation gives it the vector that it would have as a node of the
    graph that changes none of the others; its own layer 0 is the mean of the users'. Thus one without a history has the
    mean user's layer 0 alone.

    Memory, in bytes at most: 13 times the learnt tables, 4 x D x (U + I) (themselves, gradients, moments, layers, what
    is served and kept); 96 for each interaction (the graph both ways, and what the platform keeps of pairs); 20 x D for
    each pair of a batch; 64 for each logit that is judged at once, 2 million or 64 x I; 96 MB for scores and vectors of
    a chunk of requests.
    """

    def __init__(self, config: LightGCNConfig, users: int, items: int, device: str) -> None:
        self.config = config
        self.device = device
        self.module = Tables(config, users, items).to(device)

    def graph(self, interactions: Interactions) -> None:
        """Take the training rows as edges (`GraphModel`); repeats of a pair are one edge."""
        self.module.graph = graph_of(interactions.histories, interactions.items, self.device)
        self.module.served = None

    def propagate(self) -> tuple[Tensor, Tensor]:
        """The vectors of all users [U, D] and of all items [I, D] (`PropagatedModel`)."""
        users, items, _ = self.module()
        return users, items

    def queries(self, batch: Batch) -> Tensor:
        """The vectors of the users of the batch's pairs, [P, D]."""
        return self.propagate()[0][batch.user]

    def logits(self, queries: Tensor, items: Tensor | None) -> Tensor:
        """Queries [P, D] with items [n] or [P, n] -> [P, n]; with None -> [P, I]."""
        table = self.propagate()[1]
        if items is None:
            return queries @ table.T
        return queries @ table[items].T if items.ndim == 1 else torch.einsum("pd,pnd->pn", queries, table[items])

    def served(self) -> tuple[Tensor, Tensor, Tensor]:
        """Vectors of users and items and the items' parts in new users, kept until the model learns again."""
        tables = self.module.served
        if tables is None:
            self.module.eval()
            with torch.no_grad():
                tables = self.module.served = self.module()
        return tables

    def scores(self, requests: Requests) -> FloatArray:
        """Scores of all items, [B, I]."""
        users, items, parts = self.served()
        known = torch.from_numpy(requests.user_num != ABSENT).to(self.device).unsqueeze(1)
        number = torch.from_numpy(requests.user_num.astype(np.int64)).to(self.device)
        with torch.no_grad():
            vectors = torch.where(known, users[number.clamp_min(0)], self._folded_in(requests.histories, parts))
            scores: FloatArray = (vectors @ items.T).cpu().numpy()
        return scores

    def _folded_in(self, histories: Histories, parts: Tensor) -> Tensor:
        """The vectors of users with these histories, [B, D]."""
        taken = histories.matrix(len(parts))
        counts = np.diff(taken.indptr)
        weights = np.repeat(1.0 / np.sqrt(np.maximum(counts, 1)), counts).astype(np.float32)
        indices, bounds = (torch.from_numpy(part.astype(np.int64)) for part in (taken.indices, taken.indptr))
        lists = Lists(*(part.to(self.device) for part in (indices, bounds, torch.from_numpy(weights))))
        return self.module.user.weight.mean(0) / (self.config.layers + 1) + lists.sums(parts)

    def state(self) -> State:
        """The learnt tables, to go on learning, and those that follow from them, to serve without the graph."""
        arrays = dict(state_of(self.module).arrays)
        for name, table in zip(SERVED, self.served(), strict=True):
            arrays[name] = table.cpu().numpy().copy()
        return State({}, arrays)

    def load(self, state: State) -> None:
        """Take the tables."""
        load_into(self.module, State({}, {name: a for name, a in state.arrays.items() if name not in SERVED}))
        users, items, parts = (torch.from_numpy(state.arrays[name].copy()).to(self.device) for name in SERVED)
        self.module.served = (users, items, parts)


def memory(config: LightGCNConfig, sizes: Sizes) -> float:
    """Bytes at most, as the docstring of `LightGCN` says."""
    table = 4 * config.dim * (sizes.users + sizes.items)
    batch = 20 * config.training.batch_size * config.dim
    return float(
        13 * table + 96 * sizes.interactions + batch + 64 * logits_at_once(config.training, sizes.items) + (96 << 20)
    )


def build(config: LightGCNConfig, context: BuildContext) -> LightGCN:
    """An untrained model whose weights follow from the seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(context.seed)
        return LightGCN(config, context.users, context.items, context.device)


@hookimpl
def provide_models() -> list[ModelSpec]:
    """LightGCN."""
    return [
        ModelSpec(
            name="lightgcn",
            api_version=1,
            config=LightGCNConfig,
            offers=frozenset({"ranking", "new_users"}),
            source=(
                "He, Deng, Wang, Li, Zhang and Wang 2020, LightGCN: Simplifying and Powering Graph Convolution Network "
                "for Recommendation, https://arxiv.org/abs/2002.02126"
            ),
            build=build,
            training="gradient",
            examples="pairs",
            memory=memory,
            cost="minutes",
        )
    ]
