"""SVD++: biased matrix factorisation whose user vectors also hold what the user rated, whatever the ratings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import torch
from torch import Tensor, nn

from recsmith.contracts.config import Choice, Config
from recsmith.contracts.data import ABSENT, DoubleArray, FloatArray, Histories, Interactions, Requests, State
from recsmith.contracts.domains import Float, Int, Narrowed
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import BuildContext, ModelSpec, Sizes
from recsmith.contracts.training import Training
from recsmith_plugins.blocks.memory import chunk_bytes
from recsmith_plugins.blocks.parameters import load_into, state_of
from recsmith_plugins.blocks.ridge_lists import CELLS, Lists, Penalty, average_length, ridge

if TYPE_CHECKING:
    from scipy import sparse

    from recsmith.contracts.training import Batch


class SVDPPConfig(Config):
    """Settings. `l2`, `l2_exponent` and `bias_l2` are those of `Penalty`, in units of a rating's squared error."""

    dim: Annotated[int, Int(4, 128, log=True)] = 16
    l2: Annotated[float, Float(1.0, 100.0, log=True)] = 12.0
    l2_exponent: Annotated[float, Float(0.0, 1.0)] = 0.5
    bias_l2: Annotated[float, Float(0.1, 100.0, log=True)] = 2.0
    init_std: Annotated[float, Float(0.003, 0.3, log=True)] = 0.02  # of the first vectors
    training: Annotated[
        Training,
        Narrowed(
            {
                "learning_rate": Float(1e-3, 5e-2, log=True),
                "batch_size": Int(256, 16384, log=True),
                "weight_decay": Float(1e-8, 1e-3, log=True),
            }
        ),
    ] = Training(
        batch_size=2048,
        learning_rate=1e-2,
        epochs=25,
        schedule=Choice(name="cosine"),
        loss=Choice(name="squared_error"),
    )


class Sums(torch.autograd.Function):
    """A sparse matrix times a table; its gradient is the transpose times that of the sums.

    scipy takes a tenth of the time of torch's own products with sparse matrices.
    """

    @staticmethod
    def forward(ctx: Any, table: Tensor, matrix: sparse.csr_array) -> Tensor:
        """Table [I, D] -> sums [n, D]."""
        ctx.matrix = matrix
        return torch.from_numpy(matrix @ table.detach().cpu().numpy()).to(table)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        """Sums [n, D] -> table [I, D]."""
        return torch.from_numpy(ctx.matrix.T @ gradients[0].cpu().numpy()).to(gradients[0]), None


class Network(nn.Module):
    """The tables, and the scale of the ratings."""

    scale: Tensor  # [4]: mean, low, high, and ratings of an average user

    def __init__(self, config: SVDPPConfig, context: BuildContext) -> None:
        super().__init__()
        self.user = nn.Embedding(context.users, config.dim)
        self.item = nn.Embedding(context.items, config.dim)
        self.rated = nn.Parameter(torch.empty(context.items, config.dim))  # y
        self.user_bias = nn.Parameter(torch.zeros(context.users))
        self.item_bias = nn.Parameter(torch.zeros(context.items))
        for table in (self.user.weight, self.item.weight, self.rated):
            nn.init.normal_(table, std=config.init_std)
        ratings = context.ratings
        scale = (0.0, -np.inf, np.inf, 1.0) if ratings is None else (ratings.mean, ratings.low, ratings.high, 1.0)
        self.register_buffer("scale", torch.tensor(scale, dtype=torch.float32))


@dataclass(frozen=True, eq=False)
class Log:
    """What training knows of the rows beside their ratings."""

    implicit: sparse.csr_array  # [U, I]: |N(u)|^-1/2 where the user has the item
    users: Tensor  # [U, 2]: the penalties on vector and offset, shared out among the user's ratings
    items: Tensor  # [I, 2]


class SVDPP:
    """Predicts mean + b_u + b_i + q_i (p_u + |N(u)|^-1/2 sum of y_j over N(u)), N(u) the distinct items of the history.

    Cut to the range of ratings seen in training where it serves, not while it learns. Whoever comes with another
    history than in training is served from it: N(u) is that of the history, and p_u and b_u follow from its ratings by
    ridge regression on the fixed items, under the penalties of the settings: what training tends to with squared error.
    Without ratings N(u) alone tells of a new user.

    Differs from Koren (2008): the penalty is on the sum over N(u) as a whole, not on each y_j, and grows with a power
    of the number of ratings that is searched, not with that number itself; offsets have a penalty of their own; steps
    are those of an adaptive optimiser on mini-batches; loss and schedule are searched.

    Memory, in bytes: with D factors 28 D for each user and twice for each item (value, gradient, two moments and copies
    of value and moments at the end of an epoch) and 28 for their offsets; 40 for each interaction, and 16 for each item
    of the users of a batch; 45 MB for systems that are solved at once, 14 for each score of a chunk of requests; 50 MB
    for the rest.
    """

    def __init__(self, config: SVDPPConfig, context: BuildContext) -> None:
        self.config = config
        self.device = context.device
        self.module = Network(config, context).to(context.device)
        self.penalty = Penalty(config.l2, config.l2_exponent, config.bias_l2)
        self.log: Log | None = None

    def graph(self, interactions: Interactions) -> None:
        """Keep what everybody rated, and the penalties that belong to each rating."""
        lengths, counts = interactions.histories.lengths, interactions.counts
        self.module.scale[3] = average_length(lengths)
        shares = [
            torch.from_numpy(self.penalty.of(n, average_length(n), 1) / np.maximum(n, 1)[:, None]).float()
            for n in (lengths, counts)
        ]
        users, items = (share.to(self.device) for share in shares)
        self.log = Log(_implicit(interactions.histories, interactions.items), users, items)

    def queries(self, batch: Batch) -> Tensor:
        """The users' vectors with their offsets last, [P, D + 1]."""
        return self.regularised(batch)[0]

    def regularised(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The users' vectors with their offsets last, [P, D + 1], and the penalties."""
        if self.log is None:
            raise RuntimeError("graph() comes before the first batch")
        module, log = self.module, self.log
        users, place = torch.unique(batch.user, return_inverse=True)
        implicit: Tensor = Sums.apply(module.rated, log.implicit[users.cpu().numpy()])  # type: ignore[no-untyped-call]
        implicit, vectors, items = implicit[place], module.user(batch.user), module.item(batch.positives)
        offsets, of_item = module.user_bias[batch.user], module.item_bias[batch.positives]
        of_users, of_items = log.users[batch.user], log.items[batch.positives]  # [P, 2]
        term = of_users[:, 0] @ (vectors.square() + implicit.square()).sum(1) + of_items[:, 0] @ items.square().sum(1)
        term = term + of_users[:, 1] @ offsets.square() + of_items[:, 1] @ of_item.square()
        return torch.cat([vectors + implicit, offsets.unsqueeze(1)], dim=1), term

    def logits(self, queries: Tensor, items: Tensor | None) -> Tensor:
        """Ratings: queries [P, D + 1] with items [n] or [P, n] -> [P, n]; with None -> [P, I]."""
        module = self.module
        vectors, offsets = queries[:, :-1], queries[:, -1:] + module.scale[0]
        if items is None:
            return vectors @ module.item.weight.T + module.item_bias + offsets
        table, bias = module.item(items), module.item_bias[items]
        products = vectors @ table.T if items.ndim == 1 else torch.einsum("pd,pnd->pn", vectors, table)
        return products + bias + offsets

    def scores(self, requests: Requests) -> FloatArray:
        """Predicted ratings, [B, I]."""
        module, histories = self.module, requests.histories
        known = requests.user_num != ABSENT
        implicit = _implicit(histories, len(module.rated)) @ _array(module.rated)
        users = np.zeros((len(requests), self.config.dim + 1))
        stored = np.concatenate([_array(module.user.weight), _array(module.user_bias)[:, None]], axis=1)
        users[known] = stored[requests.user_num[known]]
        if histories.value is not None and not requests.histories_are_training:
            rows = np.flatnonzero(histories.lengths)
            users[rows] = self._fold_in(histories.take(rows), implicit[rows])
        users[:, :-1] += implicit
        with torch.inference_mode():
            queries = torch.from_numpy(users.astype(np.float32)).to(self.device)
            low, high = module.scale[1:3].tolist()
            scores: FloatArray = self.logits(queries, None).clamp_(low, high).cpu().numpy()
        return scores

    def _fold_in(self, histories: Histories, implicit: DoubleArray) -> DoubleArray:
        """Vectors and offsets of lists with ratings, [B, D + 1], beside the sums over N(u) [B, D]."""
        module, index = self.module, histories.item_num.astype(np.int64)
        table = np.concatenate([_array(module.item.weight), np.ones((len(module.item_bias), 1))], axis=1)
        expected = float(module.scale[0]) + _array(module.item_bias)[index]
        expected += (implicit[histories.rows] * table[index, :-1]).sum(1)
        weighted = self.config.training.weighted and histories.weight is not None
        weights = np.asarray(histories.weight, np.float64) if weighted else np.ones(len(index))
        lists = Lists(histories.indptr, index, weights)
        targets = np.asarray(histories.value, np.float64) - expected
        penalties = self.penalty.of(histories.lengths, float(module.scale[3]), self.config.dim)
        return ridge(lists, table, targets, penalties)

    def state(self) -> State:
        """The tables and the scale of the ratings."""
        return state_of(self.module)

    def load(self, state: State) -> None:
        """Take them."""
        load_into(self.module, state)


def _implicit(histories: Histories, items: int) -> sparse.csr_array:
    """|N|^-1/2 where a list has an item, [B, I] float32."""
    matrix = histories.matrix(items)
    counts = np.diff(matrix.indptr)
    matrix.data = np.repeat(1.0 / np.sqrt(np.maximum(counts, 1)), counts).astype(np.float32)
    return matrix


def _array(tensor: Tensor) -> DoubleArray:
    return tensor.detach().cpu().numpy().astype(np.float64)


def memory(config: SVDPPConfig, sizes: Sizes) -> float:
    """Bytes at most, as told at `SVDPP`."""
    tables = 28.0 * (config.dim * (sizes.users + 2 * sizes.items) + sizes.users + sizes.items)
    batch = min(sizes.interactions, config.training.batch_size * sizes.longest)
    scores = chunk_bytes(sizes) / 4
    return 5e7 + tables + 40.0 * sizes.interactions + 16.0 * batch + 22.0 * CELLS + 14.0 * scores


def build(config: SVDPPConfig, context: BuildContext) -> SVDPP:
    """An untrained model whose weights follow from the seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(context.seed)
        return SVDPP(config, context)


@hookimpl
def provide_models() -> list[ModelSpec]:
    """SVD++."""
    spec = ModelSpec(
        name="svdpp",
        api_version=1,
        config=SVDPPConfig,
        needs=frozenset({"values"}),
        offers=frozenset({"ratings", "new_users"}),
        source=(
            "Koren 2008, Factorization Meets the Neighborhood: a Multifaceted Collaborative Filtering Model, "
            "doi:10.1145/1401890.1401944"
        ),
        build=build,
        training="gradient",
        examples="pairs",
        cost="minutes",
        memory=memory,
    )
    return [spec]
